internal import WebSocketProtocol

/// A message on its way from the read buffer to a receiver.
enum QueuedMessage {
  /// What the receiver gets.
  case ready(WebSocketMessage)
  /// Valid UTF-8, of which the receiver's thread makes the string. It will free it too: memory that one thread takes and
  /// another gives back costs several times as much.
  case text(WebSocketPayload)

  /// The message as the receiver gets it.
  var message: WebSocketMessage {
    @inline(__always) consuming get {
      switch self {
      case .ready(let message): message
      case .text(let payload): .text(payload.withUnsafeBytes { String(decoding: $0, as: UTF8.self) })
      }
    }
  }

  /// The size of the message in bytes.
  var byteCount: Int {
    switch self {
    case .ready(let message): message.byteCount
    case .text(let payload): payload.count
    }
  }
}

/// A queue of messages with one owner: filled at one end, emptied at the other, and moved as a whole.
///
/// An array would do, and cost three times as much: messages are moved here and never copied, so that no reference
/// count is touched between the read buffer and the receiver. Two queues are exchanged with `swap`, which keeps the
/// memory of both in use.
struct MessageQueue: ~Copyable {
  private var base: UnsafeMutablePointer<QueuedMessage>?
  private var capacity = 0
  private var head = 0
  private var tail = 0

  init() {}

  deinit {
    guard let base else { return }
    (base + head).deinitialize(count: tail - head)
    base.deallocate()
  }

  var count: Int { tail &- head }

  var isEmpty: Bool { head == tail }

  @inline(__always)
  mutating func append(_ message: consuming QueuedMessage) {
    if tail == capacity { makeRoom(1) }
    (base.unsafelyUnwrapped + tail).initialize(to: message)
    tail &+= 1
  }

  /// Moves everything out of `other`.
  mutating func append(movingFrom other: inout MessageQueue) {
    if isEmpty {
      swap(&self, &other)
      return
    }
    guard let source = other.base, !other.isEmpty else { return }
    let count = other.count
    if capacity - tail < count { makeRoom(count) }
    (base.unsafelyUnwrapped + tail).moveInitialize(from: source + other.head, count: count)
    tail += count
    other.head = 0
    other.tail = 0
  }

  @inline(__always)
  mutating func popFirst() -> QueuedMessage? {
    guard head != tail else { return nil }
    let message = (base.unsafelyUnwrapped + head).move()
    head &+= 1
    if head == tail {
      head = 0
      tail = 0
    }
    return message
  }

  /// Gives back the memory if it is more than an ordinary read needs. The queue has to be empty.
  mutating func shrink() {
    assert(isEmpty)
    guard capacity > 4096 else { return }
    base?.deallocate()
    base = nil
    capacity = 0
  }

  private mutating func makeRoom(_ room: Int) {
    let count = count
    if let base, head >= count, capacity - count >= room {
      base.moveInitialize(from: base + head, count: count)
    } else {
      let newCapacity = max(count + room, 2 * capacity, 16)
      let newBase = UnsafeMutablePointer<QueuedMessage>.allocate(capacity: newCapacity)
      if let base {
        newBase.moveInitialize(from: base + head, count: count)
        base.deallocate()
      }
      base = newBase
      capacity = newCapacity
    }
    head = 0
    tail = count
  }
}
