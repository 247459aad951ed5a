internal import SidecarExecutor

/// A receiver that waits for a message: a suspended task, or a blocked thread.
enum WaitingReceiver: Sendable {
  case task(TaskWaiter<ReceiveResult<QueuedMessage>>)
  case thread(ThreadWaiter)

  /// Ends the wait, once. Called only by the code that took the receiver off the list, and not under a lock.
  func resume(returning result: consuming ReceiveResult<QueuedMessage>) {
    switch self {
    case .task(let task): task.resume(returning: result)
    case .thread(let thread): thread.resume(returning: result)
    }
  }
}

/// Blocks one thread at a time until it is given a result. Reusable.
final class ThreadWaiter: @unchecked Sendable {
  private let semaphore = Semaphore()
  // Safe to share: written before the semaphore is signalled, read after it was waited for.
  private var result = ReceiveResult<QueuedMessage>.timedOut

  /// Blocks until there is a result, or the deadline has passed.
  ///
  /// - Returns: False if the deadline passed first.
  func wait(until deadline: Deadline) -> Bool {
    semaphore.wait(until: deadline)
  }

  /// Takes the result, after ``wait(until:)`` has returned true.
  func takeResult() -> ReceiveResult<QueuedMessage> {
    defer { result = .timedOut }
    return result
  }

  fileprivate func resume(returning result: consuming ReceiveResult<QueuedMessage>) {
    self.result = result
    semaphore.signal()
  }
}

/// The receivers that wait, first come, first served.
struct WaitingReceivers {
  private var entries: [(id: UInt64, receiver: WaitingReceiver)] = []

  /// A waiter that no thread uses: most programs block with one thread, which reuses it.
  var idleThread: ThreadWaiter?

  var isEmpty: Bool { entries.isEmpty }

  mutating func append(_ receiver: WaitingReceiver, id: UInt64) {
    entries.append((id, receiver))
  }

  mutating func popFirst() -> WaitingReceiver? {
    entries.isEmpty ? nil : entries.removeFirst().receiver
  }

  /// Takes one receiver off the list; nil if it has been given a result.
  mutating func remove(_ id: UInt64) -> WaitingReceiver? {
    guard let index = entries.firstIndex(where: { $0.id == id }) else { return nil }
    return entries.remove(at: index).receiver
  }

  mutating func removeAll() -> [WaitingReceiver] {
    defer { entries = [] }
    return entries.map(\.receiver)
  }
}
