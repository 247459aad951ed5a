public import SidecarExecutor
internal import SidecarTransport

/// Ports that misbehave below HTTP.
extension TestServer {
  /// A port that refuses every connection while the value lives.
  ///
  /// The port is bound, so that no other process gets it, and nothing listens on it.
  public final class RefusedPort: Sendable {
    /// The port.
    public var port: UInt16 { listener.port }
    /// The URL of a server on the port, if there were one.
    public var url: String { listener.url }

    private let listener: ServerListener

    init(_ loopback: Options.Loopback) throws(SystemError) {
      listener = try ServerListener(loopback, port: 0)
    }
  }

  /// A port at which connecting hangs while the value lives: connections are neither accepted nor refused.
  ///
  /// A socket listens and does not accept. Its backlog is full, so the system ignores further connections.
  public final class FullPort: Sendable {
    /// The port.
    public var port: UInt16 { listener.port }
    /// The URL of the server that does not accept.
    public var url: String { listener.url }

    private let listener: ServerListener
    private let filling: StreamSocket

    init(_ loopback: Options.Loopback) throws(SystemError) {
      listener = try ServerListener(loopback, port: 0)
      // A backlog of n takes n + 1 connections, so one fills it. Linux drops the SYN of the others.
      try listener.listen(backlog: 0)
      filling = try listener.connectToSelf()
    }
  }

  /// Reserves a port that refuses every connection.
  ///
  /// - Throws: The error of the system call that failed.
  public static func refusedPort(_ loopback: Options.Loopback = .ipv4) throws(SystemError) -> RefusedPort {
    try RefusedPort(loopback)
  }

  /// Reserves a port at which connecting hangs until the client gives up.
  ///
  /// - Throws: The error of the system call that failed.
  public static func fullPort(_ loopback: Options.Loopback = .ipv4) throws(SystemError) -> FullPort {
    try FullPort(loopback)
  }
}

extension ServerListener {
  /// Connects to the listening socket itself. On the loopback interface that completes at once.
  fileprivate func connectToSelf() throws(SystemError) -> StreamSocket {
    let client = StreamSocket(owning: try SocketCalls.open(address.family))
    while try SocketCalls.connect(client.descriptor, to: address) != .connected {}
    return client
  }
}
