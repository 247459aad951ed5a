import Dispatch
import Testing

/// Runs each test on a thread of its own instead of the cooperative thread pool, which has as many threads as there are
/// cores.
///
/// For tests that block: two of them would stop every other test in the process on a machine with two cores.
struct OffThePool: SuiteTrait, TestTrait, TestScoping {
  var isRecursive: Bool { true }

  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
  ) async throws {
    try await withTaskExecutorPreference(OwnThread()) { try await function() }
  }
}

extension Trait where Self == OffThePool {
  static var offThePool: OffThePool { OffThePool() }
}

private final class OwnThread: TaskExecutor {
  // A serial queue: the concurrent ones share their threads with the cooperative thread pool.
  private let queue = DispatchQueue(label: "test")

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
  }
}
