extension TestServer {
  /// What applies to all connections of a server.
  ///
  /// ```swift
  /// var options = TestServer.Options()
  /// options.subprotocols = ["chat.v2", "chat.v1"]
  /// let server = try TestServer(behavior: .echo, options: options)
  /// ```
  public struct Options: Sendable {
    /// One of the two loopback addresses.
    public enum Loopback: Sendable, Hashable {
      /// 127.0.0.1
      case ipv4
      /// ::1
      case ipv6
    }

    /// The address to listen on. Default: IPv4.
    public var loopback = Loopback.ipv4

    /// The port to listen on. Default: 0, a free one that the system chooses.
    ///
    /// Give a number only to take over the port of a server that has been stopped, as a server that restarts does.
    public var port: UInt16 = 0

    /// The subprotocols that the server speaks (RFC 6455 §1.9). Default: none.
    ///
    /// Of those that a client offers, the first one that is among these is chosen. A script can choose otherwise: see
    /// ``TestServer/Step/open(subprotocol:headers:editing:)``.
    public var subprotocols: [String] = []

    /// The largest message that is taken, in bytes. Default: 64 MiB. A larger one is answered by a Close frame with 1009.
    public var maximumMessageSize = 64 << 20

    /// The size of the sockets' receive buffers, in bytes (`SO_RCVBUF`). Default: nil, the system's, which grows.
    ///
    /// A small one makes a client feel soon that the server does not read.
    public var receiveBufferSize: Int?

    /// The size of the sockets' send buffers, in bytes (`SO_SNDBUF`). Default: nil, the system's, which grows.
    public var sendBufferSize: Int?

    /// How long the server, when it has ended its half of the stream, waits for the client to end the other one, before
    /// it closes the socket (RFC 6455 §7.1.1). Default: 5 s.
    public var endOfStreamGrace = Duration.seconds(5)

    /// How many bytes of messages, frames and other input are kept of each connection, to be looked at. Default: 16 MiB.
    ///
    /// What comes later is handled and counted all the same. Each piece is charged 64 bytes beside its own.
    public var recordedBytes = 16 << 20

    /// Makes options with the defaults.
    public init() {}
  }
}
