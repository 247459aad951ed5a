public import Synchronization

/// A task that waits to be given a value, once.
///
/// The value goes through here and not through the continuation: a continuation that is resumed before its task has
/// suspended synchronises the two, but the runtime (6.3) does not tell ThreadSanitizer so.
@usableFromInline
package final class TaskWaiter<Value: Sendable>: @unchecked Sendable {
  // Safe to share: the continuation is written before anybody is shown the task; the value before the flag, and read behind it.
  @usableFromInline var continuation: UnsafeContinuation<Void, Never>?
  @usableFromInline var value: Value?
  @usableFromInline let isGiven = Atomic(false)

  @inlinable init() {}

  /// Suspends until the task is given a value. `body` shows it to whoever will do that, or does it itself.
  @inlinable
  package static func wait(_ body: (TaskWaiter<Value>) -> Void) async -> Value {
    let task = TaskWaiter<Value>()
    await withUnsafeContinuation { continuation in
      task.continuation = continuation
      body(task)
    }
    guard task.isGiven.load(ordering: .acquiring), let value = task.value else {
      preconditionFailure("A task was resumed without being given a value.")
    }
    return value
  }

  /// Gives the task its value, and resumes it. Called once, and not under a lock.
  @inlinable
  package func resume(returning value: consuming Value) {
    // Unsafe, because the check costs more than the rest of a wait. Whoever takes a task off its list resumes it, and
    // nobody else does.
    let continuation = self.continuation
    self.value = value
    isGiven.store(true, ordering: .releasing)
    continuation?.resume()
  }
}
