internal import CSidecarSystem
internal import SidecarProtocol

/// A message on its way from the read buffer to a receiver.
enum QueuedMessage {
  /// What the receiver gets.
  case ready(WebSocketMessage)
  /// Valid UTF-8, of which the receiver's thread makes the string. It will free it too: memory that one thread takes and
  /// another gives back costs several times as much.
  case text(WebSocketPayload)
  /// A short message, of which the receiver's thread makes what the receiver gets.
  case short(PackedBatch)

  /// The message as the receiver gets it.
  var message: WebSocketMessage {
    @inline(__always) consuming get {
      switch self {
      case .ready(let message):
        return message
      case .text(let payload):
        return .text(payload.withUnsafeBytes { String(validUTF8: $0) })
      case .short(var run):
        return run.takeFirst()
      }
    }
  }

  /// The size of the message in bytes.
  var byteCount: Int {
    switch self {
    case .ready(let message): message.byteCount
    case .text(let payload): payload.count
    case .short(let run): run.byteCountOfFirst
    }
  }
}

/// A queue of messages with one owner: filled at one end, emptied at the other, and moved as a whole.
///
/// An array would do, and cost three times as much: messages are moved here and never copied, so that no reference
/// count is touched between the read buffer and the receiver. Two queues are exchanged with `swap`, which keeps the
/// memory of both in use. Short messages stand in it by the run.
struct MessageQueue: ~Copyable {
  private var base: UnsafeMutablePointer<QueuedMessage>?

  // In 32 bits each: there are three of these queues in a sidecar, and ten thousand sidecars in a process.
  private var storedCapacity: UInt32 = 0
  private var storedHead: UInt32 = 0
  private var storedTail: UInt32 = 0
  private var storedCount: UInt32 = 0

  /// A message of so many bytes is worth asking for.
  private static let prefetchedByteCount = 256

  /// The run that messages are being taken from: before the entries.
  private var run = PackedBatch()

  private var capacity: Int {
    get { Int(storedCapacity) }
    set { storedCapacity = UInt32(truncatingIfNeeded: newValue) }
  }

  private var head: Int {
    get { Int(storedHead) }
    set { storedHead = UInt32(truncatingIfNeeded: newValue) }
  }

  private var tail: Int {
    get { Int(storedTail) }
    set { storedTail = UInt32(truncatingIfNeeded: newValue) }
  }

  /// How many messages there are. Each is charged 48 bytes at least, so that 32 bits hold more than there can be.
  private(set) var count: Int {
    get { Int(storedCount) }
    set { storedCount = UInt32(truncatingIfNeeded: newValue) }
  }

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

  /// Appends the messages of a run, `count` of them.
  mutating func append(_ run: PackedBatch, count: Int) {
    append(.short(run), count: count)
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
    if !other.run.isEmpty {
      append(.short(other.run), count: 0)
      other.run = PackedBatch()
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

  /// Takes the first message, as its receiver gets it: on the receiver's thread.
  @inline(__always)
  mutating func popMessage() -> WebSocketMessage? {
    guard count != 0 else { return nil }
    count &-= 1
    guard !run.isEmpty || moveToRun() else { return popEntry().message }
    prefetchSecond()
    return run.takeFirst()
  }

  /// Has the message behind the first one of the run brought into the cache, while the receiver looks at the first one: it is
  /// taken to be as long.
  ///
  /// What waits together is as much as a core's cache holds, and was written a while ago. Where messages are tiny, the
  /// processor finds out by itself that they are read one after the other.
  @inline(__always)
  private func prefetchSecond() {
    let first = run.memoryOfFirst
    guard first.count >= MessageQueue.prefetchedByteCount, let start = first.baseAddress else { return }
    if !run.hasOne {
      csidecar_prefetch(start + first.count, first.count)
    } else if head != tail, case .short(let next) = (base.unsafelyUnwrapped + head).pointee {
      csidecar_prefetch(next.memoryOfFirst.baseAddress, first.count)
    }
  }

  /// Takes the first message, for another thread.
  mutating func popFirst() -> QueuedMessage? {
    guard count != 0 else { return nil }
    count -= 1
    return !run.isEmpty || moveToRun() ? .short(run.splitFirst()) : popEntry()
  }

  /// Goes on to the run that is the first entry, if it is one.
  private mutating func moveToRun() -> Bool {
    guard case .short = (base.unsafelyUnwrapped + head).pointee, case .short(let next) = popEntry() else {
      return false
    }
    run = next
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

  /// Gives back the memory if it is more than an ordinary read needs. The queue has to be empty.
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
