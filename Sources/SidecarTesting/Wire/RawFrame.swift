public import SidecarProtocol

/// Builds the bytes of one frame, valid or not (RFC 6455 §5.2).
///
/// Nothing is checked: every bit can be set, the length can be false, and it can be written in a longer form than it
/// needs.
///
/// ```swift
/// let masked = RawFrame.text("a server must not mask").masked()
/// let cut = RawFrame(opcode: 2, declaredLength: 1_000, payload: [1, 2, 3])
/// let bytes = masked.bytes + cut.bytes
/// ```
///
/// A value type, so it is safe to share between threads.
public struct RawFrame: Sendable, Hashable {
  /// How the length is written.
  public enum LengthEncoding: Sendable, Hashable {
    /// In as few bytes as possible, as RFC 6455 §5.2 demands.
    case shortest
    /// In the seven bits of the second byte. Higher bits are dropped.
    case sevenBits
    /// In the two bytes after it. Higher bits are dropped.
    case sixteenBits
    /// In the eight bytes after it.
    case sixtyFourBits
  }

  /// The opcode, of which the lowest four bits are written. 3 to 7 and 11 to 15 are reserved.
  public var opcode: UInt8
  /// Whether this is the last frame of its message.
  public var fin: Bool
  /// The first reserved bit, which permessage-deflate uses (RFC 7692 §6).
  public var rsv1: Bool
  /// The second reserved bit.
  public var rsv2: Bool
  /// The third reserved bit.
  public var rsv3: Bool
  /// The key to mask the payload with, its first byte on the wire lowest; nil for an unmasked frame.
  ///
  /// A client masks every frame and a server none (RFC 6455 §5.1).
  public var maskKey: UInt32?
  /// The length that the header announces; nil for the payload's.
  public var declaredLength: UInt64?
  /// How the length is written.
  public var lengthEncoding: LengthEncoding
  /// The payload, before it is masked.
  public var payload: [UInt8]

  /// Makes a frame. The defaults are those of a server's valid frame that is the last of its message.
  public init(
    opcode: UInt8, fin: Bool = true, rsv1: Bool = false, rsv2: Bool = false, rsv3: Bool = false,
    masked: Bool = false, declaredLength: UInt64? = nil, lengthEncoding: LengthEncoding = .shortest,
    payload: some Sequence<UInt8> = []
  ) {
    self.opcode = opcode
    self.fin = fin
    self.rsv1 = rsv1
    self.rsv2 = rsv2
    self.rsv3 = rsv3
    maskKey = masked ? Self.anyMaskKey : nil
    self.declaredLength = declaredLength
    self.lengthEncoding = lengthEncoding
    self.payload = Array(payload)
  }

  /// The default key of ``masked(_:)``: four different bytes, none of them zero.
  public static let anyMaskKey: UInt32 = 0x7856_3412

  /// The frame on the wire.
  public var bytes: [UInt8] {
    var first = opcode & 0x0F
    if fin { first |= 0x80 }
    if rsv1 { first |= 0x40 }
    if rsv2 { first |= 0x20 }
    if rsv3 { first |= 0x10 }
    let length = declaredLength ?? UInt64(payload.count)
    var bytes = [first] + lengthBytes(length)
    if let maskKey {
      bytes[1] |= 0x80
      let key = withUnsafeBytes(of: maskKey.littleEndian, Array.init)
      bytes += key
      // RFC 6455 §5.3.
      bytes += payload.enumerated().map { index, byte in byte ^ key[index % 4] }
    } else {
      bytes += payload
    }
    return bytes
  }

  /// The second byte without the mask bit, and the extended length, in network byte order (RFC 6455 §5.2).
  private func lengthBytes(_ length: UInt64) -> [UInt8] {
    func sevenBits() -> [UInt8] { [UInt8(truncatingIfNeeded: length & 0x7F)] }
    func sixteenBits() -> [UInt8] {
      [126] + withUnsafeBytes(of: UInt16(truncatingIfNeeded: length).bigEndian, Array.init)
    }
    func sixtyFourBits() -> [UInt8] { [127] + withUnsafeBytes(of: length.bigEndian, Array.init) }
    switch (lengthEncoding, length) {
    case (.sevenBits, _), (.shortest, ...125): return sevenBits()
    case (.sixteenBits, _), (.shortest, ...0xFFFF): return sixteenBits()
    case (.sixtyFourBits, _), (.shortest, _): return sixtyFourBits()
    }
  }
}

extension RawFrame {
  /// Makes a text frame. For bytes that are not UTF-8, give the initializer opcode 1.
  public static func text(_ text: String, fin: Bool = true) -> RawFrame {
    RawFrame(opcode: Opcode.text.rawValue, fin: fin, payload: text.utf8)
  }

  /// Makes a binary frame.
  public static func binary(_ payload: some Sequence<UInt8>, fin: Bool = true) -> RawFrame {
    RawFrame(opcode: Opcode.binary.rawValue, fin: fin, payload: payload)
  }

  /// Makes a frame that continues a message (RFC 6455 §5.4).
  public static func continuation(_ payload: some Sequence<UInt8>, fin: Bool) -> RawFrame {
    RawFrame(opcode: Opcode.continuation.rawValue, fin: fin, payload: payload)
  }

  /// Makes a Ping frame. It is invalid with more than 125 bytes of payload (RFC 6455 §5.5).
  public static func ping(_ payload: some Sequence<UInt8> = []) -> RawFrame {
    RawFrame(opcode: Opcode.ping.rawValue, payload: payload)
  }

  /// Makes a Pong frame. It is invalid with more than 125 bytes of payload (RFC 6455 §5.5).
  public static func pong(_ payload: some Sequence<UInt8> = []) -> RawFrame {
    RawFrame(opcode: Opcode.pong.rawValue, payload: payload)
  }

  /// Makes a Close frame with a code and a reason, or an empty one (RFC 6455 §5.5.1).
  ///
  /// Every number is accepted, also one that must not be on the wire, such as 1005.
  public static func close(_ code: UInt16? = nil, reason: String = "") -> RawFrame {
    let number = code.map { withUnsafeBytes(of: $0.bigEndian, Array.init) } ?? []
    return RawFrame(opcode: Opcode.connectionClose.rawValue, payload: number + Array(reason.utf8))
  }

  /// Makes the one frame of a compressed message that refers to no earlier message (RFC 7692 §7.2.1).
  ///
  /// Its first reserved bit is set. A client can read it if permessage-deflate is agreed on with the server's largest
  /// window.
  public static func compressed(_ message: WebSocketMessage) -> RawFrame {
    var deflater = Deflater(PermessageDeflate.Agreement(), role: .server)
    return compressed(message, by: &deflater)
  }

  static func compressed(_ message: WebSocketMessage, by deflater: inout Deflater) -> RawFrame {
    var buffer = ByteBuffer()
    message.payloadBytes.withUnsafeBytes { deflater.compress($0, into: &buffer) }
    return RawFrame(opcode: Opcode(message.kind).rawValue, rsv1: true, payload: Array(buffer.bytes))
  }

  /// Returns the frame, masked.
  public func masked(_ key: UInt32 = RawFrame.anyMaskKey) -> RawFrame {
    var frame = self
    frame.maskKey = key
    return frame
  }

  /// Cuts a message into fragments (RFC 6455 §5.4).
  ///
  /// Text is cut between bytes, so a fragment may end inside a character. An empty message is one empty frame.
  ///
  /// - Parameter size: The most payload bytes of a fragment, at least 1.
  public static func fragments(of message: WebSocketMessage, size: Int) -> [RawFrame] {
    precondition(size > 0, "A message cannot be cut into fragments of \(size) bytes: give at least 1.")
    return RawFrame(opcode: Opcode(message.kind).rawValue, payload: message.payloadBytes).fragments(size: size)
  }

  /// Cuts the frame into fragments. Only the first one says that the message is compressed (RFC 7692 §6.1).
  func fragments(size: Int) -> [RawFrame] {
    let starts = payload.isEmpty ? [0] : Array(stride(from: 0, to: payload.count, by: size))
    return starts.map { start in
      RawFrame(
        opcode: start == 0 ? opcode : Opcode.continuation.rawValue, fin: start == starts.last,
        rsv1: start == 0 && rsv1, payload: payload[start..<min(start + size, payload.count)])
    }
  }
}

extension WebSocketMessage {
  /// The payload as it is on the wire, before compression.
  var payloadBytes: [UInt8] {
    switch self {
    case .text(let text): Array(text.utf8)
    case .binary(let payload): Array(payload)
    }
  }
}
