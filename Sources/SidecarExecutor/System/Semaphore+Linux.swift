internal import CSidecarSystem
internal import Glibc

/// Blocks threads until they are signalled, or until a deadline.
///
/// Not Dispatch's semaphore, which waits by the wall clock on Linux: setting the clock would change the length of a
/// wait.
@usableFromInline
package final class Semaphore: @unchecked Sendable {
  // Safe to share: a semaphore is made to be shared, and the pointer never changes.
  private let semaphore: UnsafeMutablePointer<sem_t>

  /// Makes a semaphore with a count of zero.
  @usableFromInline
  package init() {
    semaphore = .allocate(capacity: 1)
    semaphore.initialize(to: sem_t())
    let status = sem_init(semaphore, 0, 0)
    precondition(status == 0, "sem_init failed with errno \(errno)")
  }

  deinit {
    sem_destroy(semaphore)
    semaphore.deallocate()
  }

  /// Lets one thread go on: one that waits, or the next one that would.
  @usableFromInline
  package func signal() {
    sem_post(semaphore)
  }

  /// Blocks the calling thread until it is signalled, at most until `deadline`.
  ///
  /// - Returns: False if the deadline passed first.
  @usableFromInline
  package func wait(until deadline: Deadline) -> Bool {
    csidecar_semaphore_wait(semaphore, deadline.remaining?.wholeNanoseconds ?? -1) != 0
  }
}
