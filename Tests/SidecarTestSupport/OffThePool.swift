internal import Dispatch

/// Where a caller runs whose time is taken: workers that Dispatch has beyond those of the cooperative thread pool.
///
/// Tests that compute hold the pool's two threads for a second at a time. What an asynchronous call takes would
/// otherwise depend on when one of them is free again.
public final class CallerExecutor: TaskExecutor {
  /// The one for all tests.
  public static let shared = CallerExecutor()

  private let queue = DispatchQueue(label: "caller", qos: .userInteractive, attributes: .concurrent)

  /// Runs a part of a task that prefers this executor.
  public func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    let executor = asUnownedTaskExecutor()
    queue.async { job.runSynchronously(on: executor) }
  }
}

/// Runs `body`, and the child tasks and `nonisolated` functions that it calls, off the cooperative thread pool.
public func offThePool<Result: Sendable>(_ body: () async throws -> Result) async rethrows -> Result {
  try await withTaskExecutorPreference(CallerExecutor.shared) { try await body() }
}
