extension TestServer {
  /// The settings of a server, which apply to all its connections.
  ///
  /// ```swift
  /// var options = TestServer.Options()
  /// options.subprotocols = ["chat.v2", "chat.v1"]
  /// let server = try TestServer(behavior: .echo, options: options)
  /// ```
  public struct Options: Sendable {
    /// A loopback address.
    public enum Loopback: Sendable, Hashable {
      /// 127.0.0.1
      case ipv4
      /// ::1
      case ipv6
    }

    /// The address to listen on. Default: IPv4. Unused with ``unixPath``.
    public var loopback = Loopback.ipv4

    /// The port to listen on. Default: 0, a free one that the system chooses. Unused with ``unixPath``.
    ///
    /// Give a number only to take over the port of a stopped server, as a server that restarts does.
    public var port: UInt16 = 0

    /// The Unix-domain socket to listen on instead of a port. Default: nil.
    ///
    /// A path of at most 107 bytes, or an abstract name with a leading `@` (`unix(7)`). The server makes the socket's
    /// file, which must not exist, and removes it when it stops. A client connects with ``TestServer/endpoint``:
    ///
    /// ```swift
    /// var options = TestServer.Options()
    /// options.unixPath = "@my-test"
    /// let server = try TestServer(options: options)
    /// var configuration = WebSocketConfiguration()
    /// configuration.endpoint = server.endpoint
    /// let client = try await WebSocketSidecar.connect(to: server.url, configuration: configuration)
    /// ```
    public var unixPath: String?

    /// The subprotocols that the server speaks (RFC 6455 §1.9). Default: none.
    ///
    /// The server chooses the first one that a client offers and that is among these. A script can choose otherwise:
    /// see ``TestServer/Step/open(subprotocol:headers:editing:)``.
    public var subprotocols: [String] = []

    /// What the server agrees to when a client offers compression (RFC 7692). Default: nil, no compression.
    ///
    /// Once compression is agreed on, the server compresses every message.
    public var compression: Compression?

    /// The largest message that the server takes, in bytes. Default: 64 MiB. It answers a larger one with Close 1009.
    public var maximumMessageSize = 64 << 20

    /// The size of the sockets' receive buffers, in bytes (`SO_RCVBUF`). Default: nil, the system's, which grows.
    ///
    /// With a small one, a client is blocked soon when the server does not read.
    public var receiveBufferSize: Int?

    /// The size of the sockets' send buffers, in bytes (`SO_SNDBUF`). Default: nil, the system's, which grows.
    public var sendBufferSize: Int?

    /// How long the server waits for the client's end of the stream after its own, before it closes the socket (RFC
    /// 6455 §7.1.1). Default: 5 s.
    public var endOfStreamGrace = Duration.seconds(5)

    /// How many bytes of messages, frames and other input are kept of each connection. Default: 16 MiB.
    ///
    /// Further input is handled but not kept, and only messages are still counted: a wait for more Pings or Pongs than
    /// are kept times out. Each piece is charged 64 bytes beside its own.
    public var recordedBytes = 16 << 20

    /// Whether ``TestServer/connections`` includes connections that have ended. Default: true.
    ///
    /// Switch it off for a server whose number of connections makes memory matter. ``TestServer/connectionCount``
    /// still counts them all.
    public var keepsEndedConnections = true

    /// Makes options with the defaults.
    public init() {}
  }

  /// What a server asks for when it accepts a client's offer of permessage-deflate (RFC 7692 §7.1).
  ///
  /// If the client's offer demands more, the server agrees to that.
  public struct Compression: Sendable, Hashable {
    /// Whether the server compresses each message with an empty window (§7.1.1.1). Default: false.
    public var serverNoContextTakeover = false

    /// Whether the client has to compress each message with an empty window (§7.1.1.2). Default: false.
    public var clientNoContextTakeover = false

    /// The largest window of the server, as a power of two from 8 to 15 (§7.1.2.1). Default: 15.
    public var serverMaxWindowBits = 15

    /// The largest window of the client, as a power of two from 8 to 15, if the client lets the server choose
    /// (§7.1.2.2). Default: 15.
    public var clientMaxWindowBits = 15

    /// Makes the defaults: the largest windows, kept from message to message.
    public init() {}
  }
}
