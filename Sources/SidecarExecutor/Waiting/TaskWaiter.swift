public import Synchronization

/// A task that waits for a value, which it gets once.
///
/// The value does not travel through the continuation. If a continuation is resumed before its task has suspended, the
/// runtime synchronises the two, but the one of Swift 6.3 does not tell ThreadSanitizer.
@usableFromInline
package final class TaskWaiter<Value: Sendable>: @unchecked Sendable {
  // Safe to share: the continuation is written before the object is shared. The value is written before the flag is set
  // and read after the flag was seen.
  @usableFromInline var continuation: UnsafeContinuation<Void, Never>?
  @usableFromInline var value: Value?
  @usableFromInline let isGiven = Atomic(false)

  @inlinable init() {}

  /// Suspends until ``resume(returning:)`` is called on what `body` is given: by `body`, or later by others.
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
    // Unsafe, because the check costs more than the rest of a wait. Only the code that takes a task off its list
    // resumes it.
    let continuation = self.continuation
    self.value = value
    isGiven.store(true, ordering: .releasing)
    continuation?.resume()
  }
}
