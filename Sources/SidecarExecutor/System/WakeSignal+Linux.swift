internal import CSidecarSystem
internal import Glibc
internal import Synchronization

/// Ends a poll from another thread: an `eventfd` that the poller watches.
///
/// A thread that signals holds a reference, which keeps the descriptor open: it cannot be closed, and its number
/// reused, just before the write.
package final class WakeSignal: Sendable {
  package let descriptor: Int32
  /// A signal could not be written, and no repetition has succeeded yet.
  private let isOverdue = Atomic(false)

  package init() throws(SystemError) {
    descriptor = eventfd(0, CInt(EFD_CLOEXEC | EFD_NONBLOCK))
    guard descriptor >= 0 else { throw SystemError("eventfd", code: errno) }
  }

  deinit {
    close(descriptor)
  }

  /// Whether a signal could not be written. While it is true, the loop must not sleep for long.
  var hasLostSignal: Bool { isOverdue.load(ordering: .relaxed) }

  /// Makes the poller return, now or the next time it polls.
  ///
  /// - Returns: False if the system refused. The caller has to try again later.
  package func signal() -> Bool {
    var one: UInt64 = 1
    var code: Int32
    repeat {
      code = FaultInjection.next(.wake) ?? (write(descriptor, &one, MemoryLayout<UInt64>.size) < 0 ? errno : 0)
    } while code == EINTR
    // EAGAIN: the counter is full, so that the poller has something to report.
    let isWritten = code == 0 || code == EAGAIN
    if !isWritten || hasLostSignal { isOverdue.store(!isWritten, ordering: .relaxed) }
    return isWritten
  }

  /// Takes back the signals so far, which the poller would report again and again.
  ///
  /// If the system refuses, the poller reports them again, and the next turn repeats this.
  func clear() {
    var count: UInt64 = 0
    var code: Int32
    repeat {
      code = FaultInjection.next(.clearWake) ?? (read(descriptor, &count, MemoryLayout<UInt64>.size) < 0 ? errno : 0)
    } while code == EINTR
  }
}
