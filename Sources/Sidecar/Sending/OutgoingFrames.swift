internal import SidecarProtocol

/// The frames that wait to be written, in the order they were sent.
///
/// A client masks every frame with a fresh key (RFC 6455 §5.3). Not thread-safe: the send queue's lock protects it.
struct OutgoingFrames: ~Copyable {
  private var queue = ByteBuffer()
  /// What a write began and could not finish. Goes before the queue.
  private var partialWrite = ByteBuffer()
  /// The Pong for the latest Ping, while the peer does not read: an earlier one need not be sent (RFC 6455 §5.5.3).
  private var deferredPong: WebSocketPayload?
  private var maskKeys = MaskKeySource()

  /// Bytes that have not been written: queued here, or taken by the owner of the stream.
  private(set) var unwrittenCount = 0

  /// An empty buffer of more than this many bytes is freed.
  static let keptCapacity = 256 * 1024

  var isEmpty: Bool { queue.isEmpty && partialWrite.isEmpty && deferredPong == nil }

  /// - Throws: ``RandomnessError`` if there is no key to mask the frame with. Nothing is queued then.
  mutating func append(
    _ opcode: Opcode, _ payload: UnsafeRawBufferPointer, rsv1: Bool = false
  ) throws(RandomnessError) {
    let key = try maskKeys.nextKey()
    let before = queue.count
    FrameWriter.append(opcode, rsv1: rsv1, payload: payload, maskKey: key, to: &queue)
    unwrittenCount += queue.count - before
  }

  mutating func append(_ opcode: Opcode, _ payload: WebSocketPayload) throws(RandomnessError) {
    try payload.withUnsafeBytes { bytes throws(RandomnessError) in try append(opcode, bytes) }
  }

  /// Appends bytes that are not a frame: the opening request, which precedes all frames.
  mutating func append(raw bytes: [UInt8]) {
    bytes.withUnsafeBytes { queue.append($0) }
    unwrittenCount += bytes.count
  }

  /// Appends a Pong when everything before it is written, in place of an earlier one that still waits for that.
  mutating func deferPong(_ payload: WebSocketPayload) {
    deferredPong = payload
  }

  /// Frames the Pong that was deferred, if there is one.
  mutating func flushDeferredPong() throws(RandomnessError) {
    guard let pong = deferredPong else { return }
    deferredPong = nil
    try append(.pong, pong)
  }

  /// Swaps the queue into the empty `buffer`; for a sender, which wrote nothing before.
  mutating func takeQueue(into buffer: inout ByteBuffer) {
    swap(&buffer, &queue)
  }

  /// Swaps what is to be written next into the empty `buffer`.
  ///
  /// - Returns: False if there is nothing.
  mutating func takeNext(into buffer: inout ByteBuffer) -> Bool {
    if !partialWrite.isEmpty {
      swap(&buffer, &partialWrite)
      return true
    }
    // A Pong that cannot be masked is not sent; the next frame fails in the same way, and is reported.
    try? flushDeferredPong()
    guard !queue.isEmpty else { return false }
    swap(&buffer, &queue)
    return true
  }

  /// Takes back what a sender took: the part that it could not write, or its empty buffer, to be used again.
  mutating func giveBack(_ buffer: inout ByteBuffer) {
    unwrittenCount = queue.count + buffer.count
    if buffer.isEmpty {
      if queue.isEmpty { swap(&buffer, &queue) }
    } else {
      swap(&buffer, &partialWrite)
    }
  }

  /// Counts bytes that the sidecar's thread took as written.
  mutating func didWrite(_ count: Int) {
    unwrittenCount -= min(count, unwrittenCount)
  }

  /// Drops everything.
  mutating func removeAll() {
    queue.removeAll(keepingCapacityUpTo: 0)
    partialWrite.removeAll(keepingCapacityUpTo: 0)
    deferredPong = nil
    unwrittenCount = 0
  }
}
