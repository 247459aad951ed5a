internal import Foundation
internal import SidecarExecutor

/// Runs `body` on a thread of its own and suspends until it has returned.
///
/// For code that blocks: on the cooperative thread pool it would keep the other tests from running.
public func onThread<Result: Sendable>(
  _ body: @escaping @Sendable () throws -> Result
) async throws -> Result {
  let result = Promise<Swift.Result<Result, any Error>>()
  startThread { result.complete(Swift.Result { try body() }) }
  return try await result.uncancellableValue().get()
}

/// Runs `body` on a thread of its own, which starts at once: it does not wait for the cooperative thread pool.
public func startThread(_ body: @escaping @Sendable () -> Void) {
  Thread.detachNewThread(body)
}
