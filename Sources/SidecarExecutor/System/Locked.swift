public import Glibc

/// State that may only be touched while its lock is held.
///
/// What a lock protects lives *inside* it: there is no way to read the state without taking the lock. The lock is a
/// heap-allocated pthread mutex rather than `Synchronization.Mutex`, which ThreadSanitizer cannot see. The state lives
/// behind a pointer, so reaching it costs no exclusivity check: the lock already guarantees exclusivity.
///
/// A structure that cannot be copied and not a class: one object fewer for each lock, and the compiler sees through it.
///
/// The body of ``withLock(_:)`` runs no user code, resumes no continuation and makes no system call that can wait.
@usableFromInline
package struct Locked<State: ~Copyable>: ~Copyable, @unchecked Sendable {
  // Safe to share: `state` is only reached between lock and unlock of `mutex`, and both pointers never change.
  @usableFromInline let mutex: UnsafeMutablePointer<pthread_mutex_t>
  @usableFromInline let state: UnsafeMutablePointer<State>

  /// Wraps `initial` in a new, unlocked lock.
  @inlinable
  package init(_ initial: consuming sending State) {
    // One block for both: there are a dozen locks in a sidecar, and ten thousand sidecars in a process.
    let alignment = max(MemoryLayout<pthread_mutex_t>.alignment, MemoryLayout<State>.alignment)
    let offset = (MemoryLayout<pthread_mutex_t>.size + alignment - 1) & ~(alignment - 1)
    // As `malloc` aligns it, which is enough for everything here, and cheaper than asking for an alignment.
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
