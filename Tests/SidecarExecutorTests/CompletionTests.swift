import Dispatch
import SidecarExecutor
import TestSupport
import Testing

/// The one place in which everything waits.
@Suite struct `A completion` {
  @Test func `no waiting call is kept waiting by a closure that blocks`() async throws {
    for _ in 0..<8 {
      let completion = Completion<Int>()
      let gate = DispatchSemaphore(value: 0)
      let hasReturned = Tally()
      completion.whenComplete { _ in
        _ = gate.wait(timeout: .now() + 5)
        hasReturned.add()
      }
      let tasks = (0..<3).map { _ in Task.immediate { await completion.value() } }
      async let completed: Void = onThread { _ = completion.complete(1) }
      for task in tasks {
        if case .value(1) = await task.value { continue }
        Issue.record("something else came")
      }
      #expect(hasReturned.count == 0)
      gate.signal()
      try await completed
    }
  }
}
