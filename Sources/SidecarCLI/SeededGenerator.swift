/// A random number generator that repeats its numbers for the same seed (SplitMix64), so that a failed run can be
/// repeated.
struct SeededGenerator: RandomNumberGenerator, Sendable {
  private static let step: UInt64 = 0x9E37_79B9_7F4A_7C15
  private var state: UInt64

  /// Makes a generator whose numbers are determined by `seed` and `stream`.
  init(seed: UInt64, stream: Int) {
    state = seed
    state = next() &+ UInt64(truncatingIfNeeded: stream) &* 0xD134_2543_DE82_EF95
  }

  mutating func next() -> UInt64 {
    state &+= SeededGenerator.step
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// Returns true with a probability of `percent`.
  mutating func chance(percent: Int) -> Bool {
    Int.random(in: 0..<100, using: &self) < percent
  }
}
