extension Duration {
  /// Nanoseconds, rounded up so that a wait never ends early, and clamped to what an `Int64` holds (292 years).
  package var wholeNanoseconds: Int64 {
    // Nine seconds fit into 64 bits; a division of 128 takes ten times as long.
    if let few = Int64(exactly: attoseconds), few >= 0 { return few / 1_000_000_000 + (few % 1_000_000_000).signum() }
    return Duration.nanoseconds(ofAttoseconds: attoseconds)
  }

  /// The same for the opposite duration.
  var negatedWholeNanoseconds: Int64 {
    Duration.nanoseconds(ofAttoseconds: attoseconds == .min ? .max : -attoseconds)
  }

  /// Milliseconds, rounded up and clamped to what a poll accepts.
  package var pollMilliseconds: Int32 {
    let (milliseconds, rest) = wholeNanoseconds.quotientAndRemainder(dividingBy: 1_000_000)
    return Int32(clamping: milliseconds + (rest > 0 ? 1 : 0))
  }

  // Not by `components`, which stops the program for a duration whose seconds do not fit into 64 bits.
  private static func nanoseconds(ofAttoseconds attoseconds: Int128) -> Int64 {
    let (nanoseconds, rest) = attoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
    return Int64(clamping: nanoseconds + (rest > 0 ? 1 : 0))
  }
}
