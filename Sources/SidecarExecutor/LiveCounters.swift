internal import Synchronization

/// What is alive in this process: the counters for the public census.
package enum LiveCounters {
  package static let sidecars = LiveCounter()
  package static let threads = LiveCounter()
  package static let connections = LiveCounter()
  package static let tasks = LiveCounter()
  /// The threads of the timers and the work queues, which the process keeps: no leak, and not in the public census.
  package static let helperThreads = LiveCounter()
}

/// A number of living things, changed from any thread.
package final class LiveCounter: Sendable {
  private let count = Atomic<Int>(0)

  package var value: Int { count.load(ordering: .acquiring) }

  package func increment() { count.wrappingAdd(1, ordering: .acquiringAndReleasing) }

  package func decrement() { count.wrappingSubtract(1, ordering: .acquiringAndReleasing) }
}
