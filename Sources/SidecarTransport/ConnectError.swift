public import SidecarExecutor

/// No address could be connected to: each one that was tried, with the system's reason.
public struct ConnectError: Error, Hashable, Sendable, CustomStringConvertible {
  /// One address that did not accept a connection.
  public struct Attempt: Hashable, Sendable, CustomStringConvertible {
    /// The address, such as `127.0.0.1:9000`, `[::1]:9000` or `unix:/run/feed.sock`.
    public let address: String
    /// Why it failed.
    public let error: SystemError

    /// The address and the system's reason.
    public var description: String { "\(address): \(error.reason)" }
  }

  /// The attempts, in the order in which they failed.
  public let attempts: [Attempt]

  /// One line with every attempt.
  public var description: String {
    "cannot connect (" + attempts.map(\.description).joined(separator: "; ") + ")"
  }
}
