public import SidecarExecutor
internal import SidecarTransport

/// Ports that misbehave below HTTP.
extension TestServer {
  /// A port at which every connection is refused, for as long as the value lives.
  ///
  /// It is bound, so that nobody else can be given it, and nobody listens.
  public final class RefusedPort: Sendable {
    /// The port.
    public var port: UInt16 { socket.port }
    /// The URL of the server that is not there.
    public var url: String { socket.url }

    private let socket: LoopbackSocket

    init(_ loopback: Options.Loopback) throws(SystemError) {
      socket = try LoopbackSocket(loopback, port: 0)
    }
  }

  /// A port at which connections are neither accepted nor refused, for as long as the value lives: connecting hangs.
  ///
  /// Somebody listens and does not accept, and the system's queue of connections to be accepted is full, so that it
  /// ignores further ones.
  public final class FullPort: Sendable {
    /// The port.
    public var port: UInt16 { listener.port }
    /// The URL of the server that does not accept.
    public var url: String { listener.url }

    private let listener: LoopbackSocket
    private let filling: StreamSocket

    init(_ loopback: Options.Loopback) throws(SystemError) {
      listener = try LoopbackSocket(loopback, port: 0)
      // A backlog of n takes n + 1 connections, so that one fills it. Linux then drops the others' SYN.
      try listener.listen(backlog: 0)
      filling = try listener.connectToSelf()
    }
  }

  /// Reserves a port at which every connection is refused.
  public static func refusedPort(_ loopback: Options.Loopback = .ipv4) throws(SystemError) -> RefusedPort {
    try RefusedPort(loopback)
  }

  /// Reserves a port at which connecting hangs, until the client gives up.
  public static func fullPort(_ loopback: Options.Loopback = .ipv4) throws(SystemError) -> FullPort {
    try FullPort(loopback)
  }
}

extension LoopbackSocket {
  /// Connects to the socket, which listens. The loopback interface needs no time for this.
  fileprivate func connectToSelf() throws(SystemError) -> StreamSocket {
    let client = StreamSocket(owning: try SocketCalls.open(address.family))
    while try SocketCalls.connect(client.descriptor, to: address) != .connected {}
    return client
  }
}
