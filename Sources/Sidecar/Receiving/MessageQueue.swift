internal import SidecarProtocol

/// A queue of messages with one owner: filled at one end, emptied at the other, and moved whole.
///
/// Messages are moved and never copied, so no reference count changes between the read buffer and the receiver; an
/// array costs three times as much. `swap` exchanges two queues and keeps the memory of both in use. Small messages are
/// entries of many messages each.
struct MessageQueue: ~Copyable {
  private var base: UnsafeMutablePointer<QueuedMessage>?
  private var capacity = 0
  private var head = 0
  private var tail = 0

  /// The batch that messages are being taken from: it precedes the entries.
  private var batch = PackedBatch()

  /// How many messages there are.
  private(set) var count = 0

  init() {}

  deinit {
    guard let base else { return }
    (base + head).deinitialize(count: tail - head)
    base.deallocate()
  }

  var isEmpty: Bool { count == 0 }

  @inline(__always)
  mutating func append(_ message: consuming QueuedMessage) {
    append(message, count: 1)
  }

  /// Appends a batch of `count` messages.
  mutating func append(_ batch: PackedBatch, count: Int) {
    append(.packed(batch), count: count)
  }

  @inline(__always)
  private mutating func append(_ entry: consuming QueuedMessage, count added: Int) {
    if tail == capacity { makeRoom(1) }
    (base.unsafelyUnwrapped + tail).initialize(to: entry)
    tail &+= 1
    count &+= added
  }

  /// Moves everything out of `other`.
  mutating func append(movingFrom other: inout MessageQueue) {
    if isEmpty {
      swap(&self, &other)
      return
    }
    if !other.batch.isEmpty {
      append(.packed(other.batch), count: 0)
      other.batch = PackedBatch()
    }
    let entries = other.tail - other.head
    if let source = other.base, entries > 0 {
      if capacity - tail < entries { makeRoom(entries) }
      (base.unsafelyUnwrapped + tail).moveInitialize(from: source + other.head, count: entries)
      tail += entries
    }
    count += other.count
    other.head = 0
    other.tail = 0
    other.count = 0
  }

  /// Takes the first message as its receiver gets it, on the receiver's thread.
  @inline(__always)
  mutating func popMessage() -> WebSocketMessage? {
    guard count != 0 else { return nil }
    count &-= 1
    guard !batch.isEmpty || moveToBatch() else { return popEntry().message }
    return batch.takeFirst()
  }

  /// Takes the first message for another thread.
  mutating func popFirst() -> QueuedMessage? {
    guard count != 0 else { return nil }
    count -= 1
    return !batch.isEmpty || moveToBatch() ? .packed(batch.splitFirst()) : popEntry()
  }

  /// Makes the first entry the current batch, if it is one.
  private mutating func moveToBatch() -> Bool {
    guard case .packed = (base.unsafelyUnwrapped + head).pointee, case .packed(let next) = popEntry() else {
      return false
    }
    batch = next
    return true
  }

  @inline(__always)
  private mutating func popEntry() -> QueuedMessage {
    let entry = (base.unsafelyUnwrapped + head).move()
    head &+= 1
    if head == tail {
      head = 0
      tail = 0
    }
    return entry
  }

  /// Frees the memory if it is more than an ordinary read needs. The queue must be empty.
  mutating func shrink() {
    assert(isEmpty)
    guard capacity > 4096 else { return }
    base?.deallocate()
    base = nil
    capacity = 0
  }

  private mutating func makeRoom(_ room: Int) {
    let entries = tail - head
    if let base, head >= entries, capacity - entries >= room {
      base.moveInitialize(from: base + head, count: entries)
    } else {
      let newCapacity = max(entries + room, 2 * capacity, 16)
      let newBase = UnsafeMutablePointer<QueuedMessage>.allocate(capacity: newCapacity)
      if let base {
        newBase.moveInitialize(from: base + head, count: entries)
        base.deallocate()
      }
      base = newBase
      capacity = newCapacity
    }
    head = 0
    tail = entries
  }
}
