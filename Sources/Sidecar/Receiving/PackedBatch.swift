internal import SidecarProtocol

/// Small messages one after the other in a chunk, each with a header of two bytes: its kind and its length.
///
/// One reference to the chunk counts for all of them. Counting one for each message, up on one thread and down on
/// another, would cost more than the rest of the hand-over. Text becomes a `String` where it is taken.
struct PackedBatch: Sendable {
  private let chunk: PayloadChunk?

  /// Where the first message that has not been taken begins.
  private var start: UInt32
  var end: UInt32

  static let headerSize = 2

  // The header's bits, beside the length, which is at most `MessageReceiver.smallMessageSize`.
  private static let textBit: UInt16 = 0x8000
  private static let asciiBit: UInt16 = 0x4000
  private static let lengthBits: UInt16 = 0x3FFF

  /// Makes an empty batch, to which nothing can be added.
  init() {
    self.init(chunk: nil, start: 0, end: 0)
  }

  init(chunk: PayloadChunk?, start: UInt32, end: UInt32) {
    self.chunk = chunk
    self.start = start
    self.end = end
  }

  @inline(__always)
  static func header(_ kind: MessageKind, isASCII: Bool, count: Int) -> UInt16 {
    let length = UInt16(truncatingIfNeeded: count)
    return kind == .binary ? length : length | (isASCII ? textBit | asciiBit : textBit)
  }

  var base: UnsafeMutableRawPointer { chunk.unsafelyUnwrapped.base }

  var isEmpty: Bool { start == end }

  private var first: (kind: UInt16, offset: Int, length: Int) {
    @inline(__always) get {
      let header = (base + Int(start)).loadUnaligned(as: UInt16.self)
      return (header & ~Self.lengthBits, Int(start) &+ Self.headerSize, Int(header & Self.lengthBits))
    }
  }

  /// Takes the first message. There must be one.
  @inline(__always)
  mutating func takeFirst() -> WebSocketMessage {
    let (kind, offset, length) = first
    start = UInt32(truncatingIfNeeded: offset &+ length)
    if kind != 0 {
      let bytes = UnsafeRawBufferPointer(start: base + offset, count: length)
      return .text(String(validUTF8: bytes, isASCII: kind & Self.asciiBit != 0))
    }
    if length == 0 { return .binary(WebSocketPayload()) }
    return .binary(
      WebSocketPayload(
        chunk: chunk, offset: UInt32(truncatingIfNeeded: offset), length: UInt32(truncatingIfNeeded: length)))
  }

  /// Takes the first message as a batch of its own, for another thread. There must be one.
  mutating func splitFirst() -> PackedBatch {
    let (_, offset, length) = first
    let one = PackedBatch(chunk: chunk, start: start, end: UInt32(truncatingIfNeeded: offset + length))
    start = one.end
    return one
  }

  /// The size of the first message in bytes; 0 if there is none.
  var firstByteCount: Int { isEmpty ? 0 : first.length }
}
