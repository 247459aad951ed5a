internal import SidecarProtocol

/// Stores small payloads one after the other in shared chunks, so that a small message costs no allocation.
///
/// A payload keeps its whole chunk alive. A chunk has 8 KiB, or room for sixteen payloads like its first one if that is
/// more; with payloads of up to 1 KiB, keeping a single one costs at most 16 KiB. Belongs to one thread.
struct PayloadArena: ~Copyable {
  static let minimumChunkSize = 8192

  /// One thread allocates a chunk and another frees it, which is costly; sixteen payloads share that cost.
  static let payloadsPerChunk = 16

  // Without a chunk, its size is 0 and there is no room.
  private var chunk: PayloadChunk?
  private var chunkSize = 0
  private var used = 0

  /// Makes an arena that allocates with its first payload.
  init() {}

  /// Appends a small message to `batch`, which is the last thing that was stored.
  ///
  /// - Returns: False, and does nothing, if the chunk has no room for it.
  @inline(__always)
  mutating func store(
    _ kind: MessageKind, isASCII: Bool, _ bytes: UnsafeRawBufferPointer, in batch: inout PackedBatch
  ) -> Bool {
    guard !batch.isEmpty, bytes.count &+ PackedBatch.headerSize <= chunkSize &- used else { return false }
    place(kind, isASCII: isASCII, bytes, at: batch.base + used)
    batch.end = UInt32(truncatingIfNeeded: used)
    return true
  }

  /// Stores a message of at most `MessageReceiver.smallMessageSize` bytes as the first one of a batch.
  mutating func startBatch(_ kind: MessageKind, isASCII: Bool, _ bytes: UnsafeRawBufferPointer) -> PackedBatch {
    let size = bytes.count + PackedBatch.headerSize
    let current = size <= chunkSize - used ? chunk : nil
    let chunk = current ?? startChunk(size)
    let start = used
    place(kind, isASCII: isASCII, bytes, at: chunk.base + used)
    return PackedBatch(
      chunk: chunk, start: UInt32(truncatingIfNeeded: start), end: UInt32(truncatingIfNeeded: used))
  }

  /// The memory of the next small message. What is put there before the message is stored is not copied.
  var nextDestination: UnsafeMutableRawBufferPointer {
    guard let chunk, used + PackedBatch.headerSize < chunkSize else {
      return UnsafeMutableRawBufferPointer(start: nil, count: 0)
    }
    let start = used + PackedBatch.headerSize
    return UnsafeMutableRawBufferPointer(start: chunk.base + start, count: chunkSize - start)
  }

  @inline(__always)
  private mutating func place(
    _ kind: MessageKind, isASCII: Bool, _ bytes: UnsafeRawBufferPointer, at target: UnsafeMutableRawPointer
  ) {
    let count = bytes.count
    assert(count <= MessageReceiver.smallMessageSize)
    target.storeBytes(of: PackedBatch.header(kind, isASCII: isASCII, count: count), as: UInt16.self)
    // A message that was decompressed into `nextDestination` is in its place.
    let content = target + PackedBatch.headerSize
    if let source = bytes.baseAddress, source != UnsafeRawPointer(content) {
      content.copyMemory(from: source, byteCount: count)
    }
    used &+= count &+ PackedBatch.headerSize
  }

  private mutating func startChunk(_ byteCount: Int) -> PayloadChunk {
    chunkSize = max(Self.minimumChunkSize, Self.payloadsPerChunk * byteCount)
    let chunk = PayloadChunk(byteCount: chunkSize)
    self.chunk = chunk
    used = 0
    return chunk
  }
}
