internal import SidecarExecutor

/// What a receiver that had to wait is given. Its own thread makes a ``Reception`` of it.
enum Handover: Sendable {
  case message(QueuedMessage)
  case end(InboxEnd)
  case timedOut
  case cancelled

  var reception: Reception {
    consuming get {
      switch self {
      case .message(let message): .message(message.message)
      case .end(let end): .end(end)
      case .timedOut: .timedOut
      case .cancelled: .cancelled
      }
    }
  }
}

/// One receiver that waits for a message: a suspended task, or a blocked thread.
enum WaitingReceiver: Sendable {
  case task(TaskWaiter<Handover>)
  case thread(ThreadWaiter)

  /// Ends the wait, once: for whoever takes the receiver off the list. Not under a lock.
  func receive(_ handover: consuming Handover) {
    switch self {
    case .task(let task): task.resume(returning: handover)
    case .thread(let thread): thread.resume(with: handover)
    }
  }
}

/// A place in which one thread at a time blocks, to be used again and again.
final class ThreadWaiter: @unchecked Sendable {
  private let semaphore = Semaphore()
  // Safe to share: written before the semaphore is signalled, read after it was waited for.
  private var handover = Handover.timedOut

  /// Blocks until the thread is given something, or the deadline has passed (then: false).
  func wait(until deadline: Deadline) -> Bool {
    semaphore.wait(until: deadline)
  }

  /// What the thread was given, after ``wait(until:)`` has returned true.
  func takeHandover() -> Handover {
    defer { handover = .timedOut }
    return handover
  }

  fileprivate func resume(with handover: consuming Handover) {
    self.handover = handover
    semaphore.signal()
  }
}

/// The receivers that wait, in the order they asked.
struct WaitingReceivers {
  private var entries: [(id: UInt64, receiver: WaitingReceiver)] = []

  /// A place for a thread to wait in that none is using: most programs block with one thread, and it needs no second one.
  var idleThread: ThreadWaiter?

  var isEmpty: Bool { entries.isEmpty }

  mutating func append(_ receiver: WaitingReceiver, id: UInt64) {
    entries.append((id, receiver))
  }

  mutating func popFirst() -> WaitingReceiver? {
    entries.isEmpty ? nil : entries.removeFirst().receiver
  }

  /// Takes one receiver off the list; nil if it is, or was, given something.
  mutating func remove(_ id: UInt64) -> WaitingReceiver? {
    guard let index = entries.firstIndex(where: { $0.id == id }) else { return nil }
    return entries.remove(at: index).receiver
  }

  mutating func removeAll() -> [WaitingReceiver] {
    defer { entries = [] }
    return entries.map(\.receiver)
  }
}
