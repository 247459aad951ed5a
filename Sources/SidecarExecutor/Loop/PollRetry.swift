/// Decides whether a loop whose poll failed goes on.
///
/// The system may be short of memory for a moment: then the loop pauses, and goes on serving its timers and jobs in
/// between. An error that stays, or that cannot go away, ends the loop.
struct PollRetry {
  /// How long polls may fail, one after the other, before the loop ends.
  static let limit = Duration.seconds(5)
  /// The longest pause after a failure. The first is a millisecond, each one after it is twice as long.
  static let longestPause: Int32 = 16

  private var failingSince: MonotonicInstant?
  private var pause: Int32 = 1

  /// Whether the last poll failed.
  var isFailing: Bool { failingSince != nil }

  /// Records a failure.
  ///
  /// - Returns: For how many milliseconds to pause before the next poll; nil if the loop has to end.
  mutating func failed(_ error: SystemError, at now: MonotonicInstant) -> Int32? {
    guard error.isTransient else { return nil }
    guard let failingSince else {
      self.failingSince = now
      pause = 1
      return pause
    }
    guard failingSince.duration(to: now) < PollRetry.limit else { return nil }
    pause = min(2 * pause, PollRetry.longestPause)
    return pause
  }

  /// Records that a poll did not fail.
  mutating func succeeded() {
    failingSince = nil
  }
}
