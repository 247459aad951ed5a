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

    /// What the server agrees to when a client offers compression (RFC 7692). Default: nil, nothing.
    ///
    /// Once agreed, every message that is sent is compressed.
    public var compression: Compression?

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
    /// What comes later is handled all the same, but only messages are still counted: a wait for more Pings, Pongs or frames
    /// than are kept times out. Each piece is charged 64 bytes beside its own.
    public var recordedBytes = 16 << 20

    /// Whether connections that have ended can still be looked at. Default: true.
    ///
    /// Switch it off for a server that sees so many of them that the memory matters. ``TestServer/connections`` are then
    /// those that have not ended; they are counted all the same.
    public var keepsEndedConnections = true

    /// Makes options with the defaults.
    public init() {}
  }

  /// What a server asks for when it agrees to a client's offer of permessage-deflate (RFC 7692 §7.1).
  ///
  /// The client's offer may demand more, and then gets it.
  public struct Compression: Sendable, Hashable {
    /// Whether the server begins each message with an empty window (§7.1.1.1). Default: false.
    public var serverNoContextTakeover = false

    /// Whether the client has to begin each message with an empty window (§7.1.1.2). Default: false.
    public var clientNoContextTakeover = false

    /// The largest window of the server, as a power of two from 8 to 15 (§7.1.2.1). Default: 15.
    public var serverMaxWindowBits = 15

    /// The largest window of the client, as a power of two from 8 to 15, if the client lets the server choose
    /// (§7.1.2.2). Default: 15.
    public var clientMaxWindowBits = 15

    /// Makes what a server without wishes agrees to.
    public init() {}
  }
}
