internal import Glibc

/// A point in time, by the clock of every wait in this package: `CLOCK_MONOTONIC`, which cannot be set.
///
/// Only a number. `ContinuousClock.Instant` has a layout that is known at run time only, and so has every structure
/// that contains one: each access, copy and comparison would be a call through a table. It also goes on while the
/// machine is suspended, unlike the clock of `epoll_wait` and of semaphores.
///
/// Arithmetic never overflows: it ends at the first or last instant that there is.
@frozen @usableFromInline
package struct MonotonicInstant: Comparable, Hashable, Sendable {
  /// Nanoseconds since an arbitrary start. 292 years fit, and later is as good as never.
  @usableFromInline package let nanoseconds: Int64

  @inlinable
  package init(nanoseconds: Int64) {
    self.nanoseconds = nanoseconds
  }

  /// The present.
  @usableFromInline package static var now: MonotonicInstant {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return MonotonicInstant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
  }

  /// The instant `duration` later, rounded up to a nanosecond.
  @usableFromInline
  package func advanced(by duration: Duration) -> MonotonicInstant {
    advanced(byNanoseconds: duration.wholeNanoseconds)
  }

  private func advanced(byNanoseconds offset: Int64) -> MonotonicInstant {
    let (sum, overflow) = nanoseconds.addingReportingOverflow(offset)
    return MonotonicInstant(nanoseconds: overflow ? (offset < 0 ? .min : .max) : sum)
  }

  /// How long it is until `other`; negative if that is earlier.
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
    instant.advanced(byNanoseconds: duration.negatedWholeNanoseconds)
  }

  @inlinable
  package static func < (left: MonotonicInstant, right: MonotonicInstant) -> Bool {
    left.nanoseconds < right.nanoseconds
  }
}
