internal import Foundation

/// Runs `body` on a thread of its own and suspends until it has returned.
///
/// For code that blocks: on a thread of the concurrency pool it would keep the other tests from running.
public func onThread<Result: Sendable>(
  _ body: @escaping @Sendable () throws -> Result
) async throws -> Result {
  try await withCheckedThrowingContinuation { continuation in
    Thread.detachNewThread {
      continuation.resume(with: Swift.Result { try body() })
    }
  }
}
