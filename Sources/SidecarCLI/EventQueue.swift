internal import SidecarExecutor

/// Hands events from any thread to the one that handles them, in the order in which they were posted.
final class EventQueue<Event: Sendable>: Sendable {
  private let events = Locked<[Event]>([])
  private let posted = Semaphore()

  /// Adds an event, and wakes the thread that waits for one.
  func post(_ event: Event) {
    events.withLock { $0.append(event) }
    posted.signal()
  }

  /// Removes the oldest event; blocks until there is one.
  func next() -> Event {
    while true {
      if let event = events.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) { return event }
      _ = posted.wait(until: .never)
    }
  }
}
