internal import SidecarProtocol

extension TestServer {
  /// The header of a frame that the server received, as it was on the wire.
  public struct ReceivedFrame: Sendable, Hashable {
    /// Whether it is the last frame of its message.
    public let fin: Bool
    /// The first reserved bit.
    public let rsv1: Bool
    /// The second reserved bit.
    public let rsv2: Bool
    /// The third reserved bit.
    public let rsv3: Bool
    /// The opcode, reserved ones included.
    public let opcode: UInt8
    /// The key that it is masked with, its first byte on the wire lowest; nil if it is not masked.
    public let maskKey: UInt32?
    /// The length that the header announces.
    public let payloadLength: UInt64
  }
}

/// Follows the frames of a stream from header to header, right or wrong, and finds where the client's Close frame ends.
///
/// It looks at what the receiver reports nothing about. It does not judge: that is the receiver's part.
struct FrameTracker {
  private var header: [UInt8] = []
  private var remaining: UInt64 = 0
  private var isInsideClose = false
  /// The frames that have begun since they were taken last.
  private var frames: [TestServer.ReceivedFrame] = []

  /// Takes note of the next bytes; returns how many of them belong to the conversation, which ends with the Close frame:
  /// all, unless it ends here.
  mutating func follow(_ bytes: UnsafeRawBufferPointer) -> Int {
    var position = 0
    while true {
      if remaining > 0 {
        let taken = min(bytes.count - position, Int(clamping: remaining))
        position += taken
        remaining -= UInt64(taken)
        guard remaining == 0 else { return position }
      }
      if isInsideClose { return position }
      guard position < bytes.count else { return position }
      position = followHeader(bytes, from: position)
    }
  }

  /// The frames that have begun since the last call.
  mutating func takeFrames() -> [TestServer.ReceivedFrame] {
    defer { frames.removeAll(keepingCapacity: true) }
    return frames
  }

  /// Collects bytes of a header, and opens its frame if they complete it; returns the position behind them.
  private mutating func followHeader(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
    var position = start
    while position < bytes.count, header.count < headerSize {
      header.append(bytes[position])
      position += 1
    }
    guard header.count == headerSize else { return position }
    openFrame()
    header.removeAll(keepingCapacity: true)
    return position
  }

  private var headerSize: Int { header.count < 2 ? 2 : FrameHeader.byteCount(secondByte: header[1]) }

  private mutating func openFrame() {
    let isMasked = header[1] & FrameHeader.maskBit != 0
    let lengthBytes = header[2...].dropLast(isMasked ? 4 : 0)
    // RFC 6455 §5.2: lengths are in network byte order.
    let length =
      lengthBytes.isEmpty
      ? UInt64(header[1] & FrameHeader.lengthBits) : lengthBytes.reduce(0) { $0 << 8 | UInt64($1) }
    let key = isMasked ? header.suffix(4).reversed().reduce(0 as UInt32) { $0 << 8 | UInt32($1) } : nil
    let opcode = header[0] & FrameHeader.opcodeBits
    frames.append(
      TestServer.ReceivedFrame(
        fin: header[0] & 0x80 != 0, rsv1: header[0] & 0x40 != 0, rsv2: header[0] & 0x20 != 0,
        rsv3: header[0] & 0x10 != 0, opcode: opcode, maskKey: key, payloadLength: length))
    remaining = length
    isInsideClose = opcode == Opcode.connectionClose.rawValue
  }
}
