/// Which side of the connection an endpoint is.
///
/// The roles differ in who masks (RFC 6455 §5.1: the client masks every frame, the server none) and in who ends the TCP
/// connection (§7.1.1: the server does).
@usableFromInline
package enum Role: Sendable, Hashable {
  case client
  case server
}

/// Says what a data message carries, as its first frame's opcode does (RFC 6455 §5.6).
public enum MessageKind: UInt8, Sendable, Hashable {
  /// Text, which travels as UTF-8.
  case text = 1

  /// Bytes whose meaning belongs to the application.
  case binary = 2
}

/// The frame opcodes that RFC 6455 §5.2 defines; every other value is reserved.
@usableFromInline
package enum Opcode: UInt8, Sendable, Hashable, CaseIterable {
  case continuation = 0
  case text = 1
  case binary = 2
  case connectionClose = 8
  case ping = 9
  case pong = 10

  /// Control frames are those whose opcode has its highest bit set (RFC 6455 §5.5).
  @inlinable package var isControl: Bool { rawValue & 0b1000 != 0 }

  /// The opcode of the first frame of a message.
  @inlinable
  package init(_ kind: MessageKind) {
    self = kind == .text ? .text : .binary
  }
}

extension Opcode: CustomStringConvertible {
  @usableFromInline package var description: String {
    switch self {
    case .continuation: "continuation"
    case .text: "text"
    case .binary: "binary"
    case .connectionClose: "close"
    case .ping: "ping"
    case .pong: "pong"
    }
  }
}

/// Everything in a frame but its payload (RFC 6455 §5.2).
@usableFromInline
package struct FrameHeader: Sendable, Hashable {
  /// Whether this is the final frame of its message.
  package var fin: Bool

  /// Marks the first frame of a compressed message (RFC 7692 §6).
  package var rsv1: Bool

  package var opcode: Opcode

  /// The masking key, its first byte lowest, or `nil` for an unmasked frame.
  package var maskKey: UInt32?

  /// The payload's length in bytes. A value from the wire: see `FrameParser` for what is refused.
  package var payloadLength: UInt64

  @usableFromInline
  package init(
    opcode: Opcode, fin: Bool = true, rsv1: Bool = false, maskKey: UInt32? = nil, payloadLength: UInt64
  ) {
    self.fin = fin
    self.rsv1 = rsv1
    self.opcode = opcode
    self.maskKey = maskKey
    self.payloadLength = payloadLength
  }

  // The bits of the first two bytes.
  @usableFromInline package static let finBit: UInt8 = 0b1000_0000
  @usableFromInline package static let reservedBits: UInt8 = 0b0111_0000
  @usableFromInline package static let rsv1Bit: UInt8 = 0b0100_0000
  @usableFromInline package static let opcodeBits: UInt8 = 0b0000_1111
  @usableFromInline package static let maskBit: UInt8 = 0b1000_0000
  @usableFromInline package static let lengthBits: UInt8 = 0b0111_1111

  /// Two bytes, eight of length, four of mask.
  @usableFromInline package static let maximumByteCount = 14

  /// The largest payload of a control frame (RFC 6455 §5.5).
  @usableFromInline package static let maximumControlPayload = 125

  /// The size of the header whose second byte is `byte`: the length and the mask may follow it.
  package static func byteCount(secondByte byte: UInt8) -> Int {
    let extendedLength =
      switch byte & lengthBits {
      case 126: 2
      case 127: 8
      default: 0
      }
    return 2 + extendedLength + (byte & maskBit == 0 ? 0 : 4)
  }

  /// The size of this header on the wire, in bytes, with the length in as few bytes as it fits (RFC 6455 §5.2).
  package var byteCount: Int {
    let extendedLength = payloadLength <= 125 ? 0 : payloadLength <= 0xFFFF ? 2 : 8
    return 2 + extendedLength + (maskKey == nil ? 0 : 4)
  }

  /// Reads a header from the start of `bytes`.
  ///
  /// Checks nothing but the opcode: `FrameParser` holds the rules. Returns `nil` when `bytes` ends before the header
  /// does, or when the opcode is a reserved one.
  package init?(decoding bytes: UnsafeRawBufferPointer) {
    guard bytes.count >= 2, bytes.count >= Self.byteCount(secondByte: bytes[1]),
      let opcode = Opcode(rawValue: bytes[0] & Self.opcodeBits)
    else { return nil }
    self.opcode = opcode
    fin = bytes[0] & Self.finBit != 0
    rsv1 = bytes[0] & Self.rsv1Bit != 0
    var offset = 2
    // RFC 6455 §5.2: lengths are in network byte order.
    switch bytes[1] & Self.lengthBits {
    case 126:
      payloadLength = UInt64(UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self)))
      offset = 4
    case 127:
      payloadLength = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt64.self))
      offset = 10
    case let length:
      payloadLength = UInt64(length)
    }
    maskKey =
      bytes[1] & Self.maskBit == 0
      ? nil : UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
  }

  /// Writes the header to `destination`, which has room for `maximumByteCount` bytes, and returns its size.
  @usableFromInline
  package func encode(to destination: UnsafeMutableRawPointer) -> Int {
    let first = opcode.rawValue | (fin ? Self.finBit : 0) | (rsv1 ? Self.rsv1Bit : 0)
    let masked: UInt8 = maskKey == nil ? 0 : Self.maskBit
    destination.storeBytes(of: first, as: UInt8.self)
    var offset = 2
    switch payloadLength {
    case 0...125:
      destination.storeBytes(of: UInt8(truncatingIfNeeded: payloadLength) | masked, toByteOffset: 1, as: UInt8.self)
    case 126...0xFFFF:
      destination.storeBytes(of: 126 | masked, toByteOffset: 1, as: UInt8.self)
      destination.storeBytes(
        of: UInt16(truncatingIfNeeded: payloadLength).bigEndian, toByteOffset: 2, as: UInt16.self)
      offset = 4
    default:
      destination.storeBytes(of: 127 | masked, toByteOffset: 1, as: UInt8.self)
      destination.storeBytes(of: payloadLength.bigEndian, toByteOffset: 2, as: UInt64.self)
      offset = 10
    }
    guard let maskKey else { return offset }
    destination.storeBytes(of: maskKey.littleEndian, toByteOffset: offset, as: UInt32.self)
    return offset + 4
  }
}
