public import Glibc

/// State that can only be touched while its lock is held.
///
/// The state lives *inside* the lock: there is no way to read it without taking the lock. The lock is a heap-allocated
/// pthread mutex and not `Synchronization.Mutex`, which ThreadSanitizer cannot see. The state is reached through a
/// pointer, which costs no exclusivity check: the lock guarantees exclusivity. A structure that cannot be copied, and
/// not a class, saves an object for each lock and can be specialised.
///
/// The body of ``withLock(_:)`` runs no user code, resumes no continuation, releases no object of the application's and
/// makes no system call that can wait.
@usableFromInline
package struct Locked<State: ~Copyable>: ~Copyable, @unchecked Sendable {
  // Safe to share: `state` is only reached between lock and unlock of `mutex`, and both pointers never change.
  @usableFromInline let mutex: UnsafeMutablePointer<pthread_mutex_t>
  @usableFromInline let state: UnsafeMutablePointer<State>

  /// Wraps `initial` in a new, unlocked lock.
  @inlinable
  package init(_ initial: consuming sending State) {
    // One block for both: a sidecar has a dozen locks, and a process may have ten thousand sidecars.
    let alignment = max(MemoryLayout<pthread_mutex_t>.alignment, MemoryLayout<State>.alignment)
    let offset = (MemoryLayout<pthread_mutex_t>.size + alignment - 1) & ~(alignment - 1)
    // What `malloc` aligns to is enough for everything here, and cheaper than asking for an alignment.
    precondition(alignment <= 16, "\(State.self) needs more alignment than malloc gives.")
    guard let block = malloc(offset + MemoryLayout<State>.size) else { fatalError("Out of memory for a lock.") }
    mutex = block.initializeMemory(as: pthread_mutex_t.self, repeating: pthread_mutex_t(), count: 1)
    let error = pthread_mutex_init(mutex, nil)
    precondition(error == 0, "pthread_mutex_init failed with errno \(error)")
    state = (block + offset).bindMemory(to: State.self, capacity: 1)
    state.initialize(to: initial)
  }

  @inlinable
  deinit {
    state.deinitialize(count: 1)
    pthread_mutex_destroy(mutex)
    free(mutex)
  }

  /// Runs `body` with exclusive access to the state.
  @inlinable @inline(__always)
  package func withLock<Result>(_ body: (inout State) -> Result) -> Result {
    pthread_mutex_lock(mutex)
    let result = body(&state.pointee)
    pthread_mutex_unlock(mutex)
    return result
  }
}
