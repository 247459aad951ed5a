internal import Glibc

/// A point in time, on the clock that every wait here goes by: `CLOCK_MONOTONIC`, which nobody can set.
///
/// A number and nothing else. `ContinuousClock.Instant` has a layout that is only known while the program runs, and so has
/// every structure with one in it: each access, copy and comparison would be a call through a table. And its clock goes on
/// while the machine is suspended, which that of `epoll_wait` and semaphores does not.
@frozen @usableFromInline
package struct MonotonicInstant: Comparable, Hashable, Sendable {
  /// Since an arbitrary start; 292 years fit, and what would come later is as good as never.
  @usableFromInline package let nanoseconds: Int64

  @inlinable
  package init(nanoseconds: Int64) {
    self.nanoseconds = nanoseconds
  }

  /// This moment.
  @usableFromInline package static var now: MonotonicInstant {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return MonotonicInstant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
  }

  /// The instant `duration` later, to the nanosecond that is not earlier.
  @usableFromInline
  package func advanced(by duration: Duration) -> MonotonicInstant {
    let (sum, overflow) = nanoseconds.addingReportingOverflow(duration.wholeNanoseconds)
    return MonotonicInstant(nanoseconds: overflow ? (duration < .zero ? .min : .max) : sum)
  }

  /// How long it is until `other`; negative if that was before.
  @usableFromInline
  package func duration(to other: MonotonicInstant) -> Duration {
    let (difference, overflow) = other.nanoseconds.subtractingReportingOverflow(nanoseconds)
    return .nanoseconds(overflow ? (other < self ? .min : .max) : difference)
  }

  @usableFromInline
  package static func + (instant: MonotonicInstant, duration: Duration) -> MonotonicInstant {
    instant.advanced(by: duration)
  }

  @usableFromInline
  package static func - (instant: MonotonicInstant, duration: Duration) -> MonotonicInstant {
    instant.advanced(by: .zero - duration)
  }

  @inlinable
  package static func < (left: MonotonicInstant, right: MonotonicInstant) -> Bool {
    left.nanoseconds < right.nanoseconds
  }
}
