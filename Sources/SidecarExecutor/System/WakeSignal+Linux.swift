internal import CSidecarSystem
internal import Glibc

/// How other threads end a poll: an `eventfd` that the poller watches.
///
/// A reference to the signal keeps the descriptor open, so a thread that is about to write can never hit a descriptor
/// that was closed and given to somebody else in between; the last reference closes it.
package final class WakeSignal: Sendable {
  package let descriptor: Int32

  package init() throws(SystemError) {
    descriptor = eventfd(0, CInt(EFD_CLOEXEC | EFD_NONBLOCK))
    guard descriptor >= 0 else { throw SystemError("eventfd", code: errno) }
  }

  deinit {
    close(descriptor)
  }

  /// Makes the poller return, now or the next time it polls.
  package func signal() {
    var one: UInt64 = 1
    // It would take 2^64 signals to fill the counter.
    _ = write(descriptor, &one, MemoryLayout<UInt64>.size)
  }

  /// Takes back the signals so far, which the poller would report again and again.
  func clear() {
    var count: UInt64 = 0
    _ = read(descriptor, &count, MemoryLayout<UInt64>.size)
  }
}
