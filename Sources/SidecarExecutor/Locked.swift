package import Glibc

/// State that may only be touched while its lock is held.
///
/// What a lock protects lives *inside* it: there is no way to read the state without taking the lock. The lock is a
/// heap-allocated pthread mutex rather than `Synchronization.Mutex`, which ThreadSanitizer cannot see. The state lives
/// behind a pointer, so reaching it costs no exclusivity check: the lock already guarantees exclusivity.
///
/// The body of ``withLock(_:)`` runs no user code, resumes no continuation and makes no system call that can wait.
package final class Locked<State: ~Copyable>: @unchecked Sendable {
  // Safe to share: `state` is only reached between lock and unlock of `mutex`, and both pointers never change.
  @usableFromInline package let mutex: UnsafeMutablePointer<pthread_mutex_t>
  @usableFromInline package let state: UnsafeMutablePointer<State>

  /// Wraps `initial` in a new, unlocked lock.
  package init(_ initial: consuming sending State) {
    mutex = .allocate(capacity: 1)
    mutex.initialize(to: pthread_mutex_t())
    let error = pthread_mutex_init(mutex, nil)
    precondition(error == 0, "pthread_mutex_init failed with errno \(error)")
    state = .allocate(capacity: 1)
    state.initialize(to: initial)
  }

  deinit {
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
    state.deinitialize(count: 1)
    state.deallocate()
  }

  /// Runs `body` with exclusive access to the state.
  @inlinable
  package func withLock<Result: ~Copyable, Failure: Error>(
    _ body: (inout State) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body(&state.pointee)
  }
}
