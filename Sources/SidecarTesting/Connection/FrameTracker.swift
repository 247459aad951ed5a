internal import SidecarProtocol

/// Follows a stream from frame header to frame header, valid or not, and finds the end of the client's Close frame.
///
/// Sees what the protocol's receiver does not report: reserved bits, mask keys, and bytes after the Close frame.
/// Validation is the receiver's part.
struct FrameTracker {
  private var header: [UInt8] = []
  private var remaining: UInt64 = 0
  private var isInsideClose = false
  /// The frames that began since the last ``takeFrames()``.
  private var frames: [TestServer.ReceivedFrame] = []

  /// Follows the next bytes of the stream.
  ///
  /// - Returns: How many of them come before the end of the Close frame: all, unless it ends here.
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

  /// Removes and returns the frames that began since the last call.
  mutating func takeFrames() -> [TestServer.ReceivedFrame] {
    defer { frames.removeAll(keepingCapacity: true) }
    return frames
  }

  /// Collects bytes of a header, and opens its frame once it is complete.
  ///
  /// - Returns: The position after the bytes that it took.
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
