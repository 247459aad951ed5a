internal import Glibc

/// A growable queue of bytes: written at its end, consumed at its front.
///
/// Memory comes from `malloc` and is never zero-filled. Growth doubles; what was consumed at the front is reclaimed
/// when room is needed and it can be had by moving no more bytes than were consumed. Has one owner, is not thread-safe,
/// and frees its memory in `deinit`.
@usableFromInline
package struct ByteBuffer: ~Copyable {
  @usableFromInline var base: UnsafeMutableRawPointer?
  @usableFromInline var head: Int
  @usableFromInline var tail: Int

  /// How many bytes the memory held now has room for, consumed ones included.
  @usableFromInline package private(set) var capacity: Int

  // Below it growth would only be a series of tiny reallocations.
  private static let minimumAllocation = 256

  /// Makes an empty buffer, with no memory until something is written unless `minimumCapacity` asks for it.
  package init(minimumCapacity: Int = 0) {
    base = minimumCapacity > 0 ? allocateMemory(minimumCapacity) : nil
    capacity = max(0, minimumCapacity)
    head = 0
    tail = 0
  }

  deinit {
    free(base)
  }

  /// How many bytes are queued.
  @inlinable package var count: Int { tail &- head }

  @inlinable package var isEmpty: Bool { tail == head }

  /// The queued bytes. The pointer is valid until the next change of the buffer.
  @inlinable package var bytes: UnsafeRawBufferPointer {
    guard let base else { return UnsafeRawBufferPointer(start: nil, count: 0) }
    return UnsafeRawBufferPointer(start: base + head, count: count)
  }

  /// Calls `body` with the queued bytes.
  @inlinable
  package func withUnsafeBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try body(bytes)
  }

  /// Appends a copy of `newBytes`.
  @inlinable
  package mutating func append(_ newBytes: UnsafeRawBufferPointer) {
    guard let source = newBytes.baseAddress else { return }
    reserve(newBytes.count).copyMemory(from: source, byteCount: newBytes.count)
    commit(newBytes.count)
  }

  /// Appends what `fill` writes into uninitialised memory of `room` bytes; `fill` returns how many it wrote.
  @inlinable
  package mutating func append<Failure: Error>(
    room: Int, _ fill: (UnsafeMutableRawBufferPointer) throws(Failure) -> Int
  ) throws(Failure) {
    let count = try fill(UnsafeMutableRawBufferPointer(start: reserve(room), count: room))
    precondition(count >= 0 && count <= room, "The closure says it wrote \(count) bytes, into room for \(room).")
    commit(count)
  }

  /// Returns a pointer to at least `room` uninitialised bytes after the queued ones; `commit` appends them.
  @inlinable
  package mutating func reserve(_ room: Int) -> UnsafeMutableRawPointer {
    if let base, capacity &- tail >= room { return base + tail }
    return makeRoom(room)
  }

  /// Appends the first `count` bytes of the room that `reserve` returned; they have been written by now.
  @inlinable
  package mutating func commit(_ count: Int) {
    tail &+= count
    assert(count >= 0 && tail <= capacity)
  }

  /// Removes the first `count` bytes: cheap, because nothing moves.
  @inlinable
  package mutating func consume(_ count: Int) {
    precondition(count >= 0 && count <= self.count, "There are \(self.count) bytes to consume, not \(count).")
    head &+= count
    if head == tail {
      head = 0
      tail = 0
    }
  }

  /// Removes the last `count` bytes.
  package mutating func removeLast(_ count: Int) {
    precondition(count >= 0 && count <= self.count, "There are \(self.count) bytes to remove, not \(count).")
    tail -= count
  }

  /// Removes everything, and frees the memory if it is more than `bound` bytes.
  package mutating func removeAll(keepingCapacityUpTo bound: Int = .max) {
    head = 0
    tail = 0
    guard capacity > bound else { return }
    free(base)
    base = nil
    capacity = 0
  }

  @usableFromInline
  mutating func makeRoom(_ room: Int) -> UnsafeMutableRawPointer {
    precondition(room >= 0, "There is no room of \(room) bytes.")
    let count = count
    if let base, head >= count, capacity - count >= room {
      // At least as much was consumed as is moved now, so each byte is moved less than once on average.
      base.copyMemory(from: base + head, byteCount: count)
      head = 0
      tail = count
      return base + count
    }
    let newCapacity = max(count + room, 2 * capacity, Self.minimumAllocation)
    let newBase: UnsafeMutableRawPointer
    if head == 0 {
      // Large blocks are moved by the kernel's page tables instead of being copied.
      newBase = reallocateMemory(base, newCapacity)
    } else {
      newBase = allocateMemory(newCapacity)
      if let base { newBase.copyMemory(from: base + head, byteCount: count) }
      free(base)
    }
    base = newBase
    capacity = newCapacity
    head = 0
    tail = count
    return newBase + count
  }
}

// The memory has one owner, this value, which cannot be copied.
extension ByteBuffer: @unchecked Sendable {}
