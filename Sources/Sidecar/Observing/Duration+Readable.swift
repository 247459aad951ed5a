extension Duration {
  /// A few digits and a unit, such as `1.52 s`, `3.10 ms` or `14.0 µs`.
  package var readable: String {
    // Not by `components`, which stops the program for a duration whose seconds do not fit into 64 bits.
    let nanoseconds = Double(attoseconds) / 1e9
    let (value, unit): (Double, String) =
      switch nanoseconds {
      case 1e9...: (nanoseconds / 1e9, "s")
      case 1e6...: (nanoseconds / 1e6, "ms")
      default: (nanoseconds / 1e3, "µs")
      }
    // A Duration can be longer than an Int holds in hundredths.
    let hundredths = Int(min(value * 100, 0x1p62).rounded())
    let fraction = hundredths % 100
    return "\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction) \(unit)"
  }
}
