/// A point in time by which a wait has to end, or none.
///
/// Deadlines are absolute, so that several waits in a row can share one: each step gets what is left, and the sum stays
/// within the bound.
@usableFromInline
package struct Deadline: Sendable, Hashable {
  /// The instant, or nil for a wait without an end.
  package let instant: MonotonicInstant?

  package init(_ instant: MonotonicInstant?) {
    self.instant = instant
  }

  /// A deadline that never comes.
  @usableFromInline package static var never: Deadline { Deadline(nil) }

  /// Makes the deadline that is `duration` from now.
  ///
  /// - Parameter duration: Any duration. Zero or less makes a deadline that has passed; centuries are clamped; nil
  ///   makes ``never``.
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
