internal import Glibc

/// Collects the bytes of one message, and then hands them over as a payload without a copy.
///
/// Capacity doubles, so each byte is copied once on average; `realloc` moves the pages of a large message instead of
/// copying them.
struct MessageBuffer: ~Copyable {
  private var base: UnsafeMutableRawPointer?
  private var capacity = 0
  private(set) var count = 0
  /// Whether the memory is borrowed.
  private(set) var isBorrowed = false

  /// Below it growth would only be a series of tiny reallocations.
  private static let minimumCapacity = 256

  /// What is kept for the next message after one that was reported as borrowed.
  static let keptCapacity = 4096

  init() {}

  /// Makes storage for a message that begins in borrowed memory, and moves if it does not fit there.
  init(borrowing memory: UnsafeMutableRawBufferPointer) {
    base = memory.baseAddress
    capacity = memory.count
    isBorrowed = true
  }

  deinit {
    if !isBorrowed { free(base) }
  }

  /// The bytes stored so far; valid until the next change.
  var bytes: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(start: base, count: count) }

  /// The memory after the stored bytes, as much as there is.
  var room: UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: base.map { $0 + count }, count: capacity - count)
  }

  /// Returns uninitialised memory after the stored bytes, at least `minimum` bytes of it; `commit` makes them stored.
  ///
  /// When more has to be reserved, it is `preferred` bytes in all or twice what is stored; but not more than `bound`,
  /// which is how many bytes may still come.
  mutating func reserve(
    _ minimum: Int, preferring preferred: Int = Self.minimumCapacity, atMost bound: Int
  ) -> UnsafeMutableRawBufferPointer {
    let needed = count + minimum
    if needed > capacity {
      capacity = max(needed, min(max(2 * count, preferred), count + bound))
      if isBorrowed {
        moveOut()
      } else {
        base = reallocateMemory(base, capacity)
      }
    }
    return room
  }

  /// Moves the bytes to memory of the storage's own.
  private mutating func moveOut() {
    let memory = allocateMemory(capacity)
    if let base { memory.copyMemory(from: base, byteCount: count) }
    base = memory
    isBorrowed = false
  }

  mutating func commit(_ byteCount: Int) {
    count += byteCount
    assert(count <= capacity)
  }

  /// Hands the memory over as a payload, and is empty afterwards.
  mutating func takePayload() -> WebSocketPayload {
    if isBorrowed {
      capacity = count
      moveOut()
    }
    // What was reserved too much would live as long as the payload.
    if capacity - count > count / 8 { base = reallocateMemory(base, count) }
    guard let memory = base else { return WebSocketPayload() }
    let payload = WebSocketPayload(
      chunk: PayloadChunk(adopting: memory), offset: 0, length: UInt32(truncatingIfNeeded: count))
    base = nil
    capacity = 0
    count = 0
    return payload
  }

  /// Forgets the stored bytes, and frees the memory unless it is little.
  mutating func removeAll(keepingCapacityUpTo bound: Int = Self.keptCapacity) {
    assert(!isBorrowed)
    count = 0
    guard capacity > bound else { return }
    free(base)
    base = nil
    capacity = 0
  }
}
