/// A point in time by which a wait has to end, or none.
///
/// TimerThread are absolute, so that several waits in a row can share one: each step gets what is left, and the sum stays
/// within the bound.
@usableFromInline
package struct Deadline: Sendable, Hashable {
  /// The instant, or nil for a wait without an end of its own.
  package let instant: MonotonicInstant?

  package init(_ instant: MonotonicInstant?) {
    self.instant = instant
  }

  /// A deadline that never comes.
  @usableFromInline package static var never: Deadline { Deadline(nil) }

  /// The deadline `duration` from now; a duration of zero or less is a deadline that has passed, nil is ``never``.
  package static func after(_ duration: Duration?) -> Deadline {
    guard let duration else { return .never }
    return Deadline(MonotonicInstant.now.advanced(by: max(.zero, duration)))
  }

  /// What is left, never negative; nil without an end.
  package var remaining: Duration? {
    instant.map { max(.zero, MonotonicInstant.now.duration(to: $0)) }
  }

  @usableFromInline package var hasPassed: Bool {
    guard let instant else { return false }
    return instant <= MonotonicInstant.now
  }

  /// The earlier of the two.
  package func earlier(_ other: Deadline) -> Deadline {
    guard let mine = instant else { return other }
    guard let theirs = other.instant else { return self }
    return Deadline(min(mine, theirs))
  }
}

extension Duration {
  /// Nanoseconds, rounded up so that a wait never ends before its time; clamped to what an `Int64` holds (292 years).
  package var wholeNanoseconds: Int64 {
    // Some nine seconds fit into 64 bits, and 128 take ten times as long.
    if let few = Int64(exactly: attoseconds), few >= 0 { return few / 1_000_000_000 + (few % 1_000_000_000).signum() }
    let (seconds, attoseconds) = components
    let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    if overflow { return seconds < 0 ? .min : .max }
    // A quotient of integers is rounded towards zero, which is up only for what is negative.
    let part = (attoseconds > 0 ? attoseconds + 999_999_999 : attoseconds) / 1_000_000_000
    let (sum, sumOverflow) = whole.addingReportingOverflow(part)
    return sumOverflow ? (seconds < 0 ? .min : .max) : sum
  }

  /// Milliseconds rounded up and clamped to what a poll accepts.
  package var pollMilliseconds: Int32 {
    let (milliseconds, rest) = wholeNanoseconds.quotientAndRemainder(dividingBy: 1_000_000)
    return Int32(clamping: milliseconds + (rest > 0 ? 1 : 0))
  }
}
