/// Something worth a line in a log.
public enum LogEvent: Sendable, CustomStringConvertible {
  /// The connection is open; holds the server's numeric address.
  case opened(address: String)
  /// The connection is over, or never came to be.
  case connectionEnded(CloseStatus)
  /// A step of the shutdown has been taking a second, or another one.
  case shutdownWaiting(ShutdownReport.Step.Name, elapsed: Duration)
  /// The shutdown is over.
  case shutDown(ShutdownReport)

  /// One line for a log.
  public var description: String {
    switch self {
    case .opened(let address): "opened to \(address)"
    case .connectionEnded(let status): "connection ended: \(status)"
    case .shutdownWaiting(let step, let elapsed): "shutdown: \(step) takes \(elapsed.readable) so far"
    case .shutDown(let report): "shut down: \(report.summary)"
    }
  }
}

extension Duration {
  /// A few digits and a unit, such as `1.52 s`, `3.10 ms` or `14.0 µs`.
  package var readable: String {
    let nanoseconds = Double(components.seconds) * 1e9 + Double(components.attoseconds) / 1e9
    let (value, unit): (Double, String) =
      switch nanoseconds {
      case 1e9...: (nanoseconds / 1e9, "s")
      case 1e6...: (nanoseconds / 1e6, "ms")
      default: (nanoseconds / 1e3, "µs")
      }
    // Ages have no hundredths that a Double knows of, and more than an Int holds.
    let hundredths = Int(min(value * 100, 0x1p62).rounded())
    let fraction = hundredths % 100
    return "\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction) \(unit)"
  }
}
