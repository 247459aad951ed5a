internal import CSidecarSystem

/// Blocks threads until they are signalled, or a deadline has passed.
///
/// Not Dispatch's: on Linux that waits by the wall clock, and a clock that is set would make a wait longer or shorter by as much.
@usableFromInline
package final class Semaphore: @unchecked Sendable {
  // Safe to share: a semaphore is made for it, and the pointer never changes.
  private let semaphore = csidecar_semaphore_create()

  /// Makes a semaphore that has not been signalled.
  @usableFromInline
  package init() {}

  deinit {
    csidecar_semaphore_destroy(semaphore)
  }

  /// Lets one thread go on, one that waits or the next one to.
  @usableFromInline
  package func signal() {
    csidecar_semaphore_signal(semaphore)
  }

  /// Blocks the calling thread until it is signalled; returns false if the deadline has passed before.
  @usableFromInline
  package func wait(until deadline: Deadline) -> Bool {
    csidecar_semaphore_wait(semaphore, deadline.remaining?.wholeNanoseconds ?? -1) != 0
  }
}
