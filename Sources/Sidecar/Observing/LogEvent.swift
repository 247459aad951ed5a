internal import SidecarProtocol

/// Something worth a line in a log.
public enum LogEvent: Sendable, CustomStringConvertible {
  /// The connection is open; holds the server's numeric address.
  case opened(address: String)
  /// The connection has ended, or could not be opened.
  case connectionEnded(CloseStatus)
  /// A step of the shutdown is still running; sent once a second.
  case shutdownWaiting(ShutdownReport.Step.Name, elapsed: Duration)
  /// The shutdown is over.
  case shutDown(ShutdownReport)

  /// One line that is safe to show.
  public var description: String { text.escapedForDisplay }

  private var text: String {
    switch self {
    case .opened(let address): "opened to \(address)"
    case .connectionEnded(let status): "connection ended: \(status)"
    case .shutdownWaiting(let step, let elapsed): "shutdown: \(step) takes \(elapsed.readable) so far"
    case .shutDown(let report): "shut down: \(report.summary)"
    }
  }
}
