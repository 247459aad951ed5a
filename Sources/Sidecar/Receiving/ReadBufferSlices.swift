internal import SidecarProtocol

/// The memory of one read, in which large messages become payloads without a copy.
///
/// The gain is not the copy but the fresh memory that each message would need. Only a read that is at least half full
/// is shared, and only with messages of at least an eighth of the memory: so a few bytes do not keep 64 KiB alive, and
/// a connection with little to read does not allocate a buffer for each message.
struct ReadBufferSlices: ~Copyable {
  private let memory: UnsafeMutableRawBufferPointer
  private let isWorthSharing: Bool
  private var chunk: PayloadChunk?
  private var sharedByteCount = 0

  /// Makes slices of nothing: no read is in progress.
  init() {
    memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    isWorthSharing = false
  }

  /// Makes slices of a read that has put `count` bytes into `memory`, which `malloc` returned.
  init(of count: Int, in memory: UnsafeMutableRawBufferPointer) {
    self.memory = memory
    isWorthSharing = count >= memory.count / 2
  }

  /// True if payloads point into the memory: the last of them frees it.
  var isShared: Bool { chunk != nil }

  /// Takes the memory over although no payload may point into it: the read is finished later. Freed with this value.
  mutating func adoptMemory() {
    guard chunk == nil, let base = memory.baseAddress else { return }
    chunk = PayloadChunk(adopting: base)
  }

  /// How much more memory than their own bytes the payloads keep alive.
  var unsharedByteCount: Int { sharedByteCount > 0 ? memory.count - sharedByteCount : 0 }

  /// Returns `bytes` as a payload without a copy; nil if they are too few, or are elsewhere.
  mutating func share(_ bytes: UnsafeRawBufferPointer) -> WebSocketPayload? {
    guard isWorthSharing, bytes.count >= memory.count / 8, let base = memory.baseAddress, let start = bytes.baseAddress,
      start >= base, start + bytes.count <= base + memory.count
    else { return nil }
    let chunk = chunk ?? PayloadChunk(adopting: base)
    self.chunk = chunk
    sharedByteCount += bytes.count
    return WebSocketPayload(
      chunk: chunk, offset: UInt32(truncatingIfNeeded: start - UnsafeRawPointer(base)),
      length: UInt32(truncatingIfNeeded: bytes.count))
  }
}
