package import SidecarTransport
internal import SidecarProtocol

/// How a sidecar connects, what it accepts, and how long it waits.
///
/// ```swift
/// var configuration = WebSocketConfiguration()
/// configuration.headers = [("Authorization", "Bearer …")]
/// configuration.subprotocols = ["chat.v2"]
/// configuration.maximumMessageSize = 1 << 20
/// let sidecar = try await WebSocketSidecar.connect(to: "ws://localhost:9000/chat", configuration: configuration)
/// ```
public struct WebSocketConfiguration: Sendable {
  // MARK: The opening handshake

  /// Header fields that are sent with the upgrade request, in this order. Default: none.
  ///
  /// Names must be tokens, values must have no control character but the tab, and what belongs to the handshake itself can't be
  /// given: `Host`, `Upgrade`, `Connection`, `Sec-WebSocket-Key`, `-Version`, `-Protocol`, `-Extensions` and `-Accept`, and
  /// `Content-Length` and `Transfer-Encoding`, which would announce a body. Otherwise connecting throws
  /// ``WebSocketError/invalidConfiguration(reason:)``.
  public var headers: [(name: String, value: String)] = []

  /// The subprotocols to offer, the preferred one first (RFC 6455 §1.9). Default: none.
  ///
  /// The server chooses one or none; one that was not offered fails the handshake.
  public var subprotocols: [String] = []

  /// Compression of messages by permessage-deflate (RFC 7692): what to offer, or nil for none. Default: nil.
  ///
  /// Off unless asked for: it costs up to 300 KiB of memory a connection and most of the speed, does nothing for data that
  /// is compressed already, and where secrets and what an attacker chooses share a connection, sizes tell about the
  /// secrets. For large, repetitive text over a slow network it is well worth it.
  public var compression: WebSocketCompression?

  // MARK: Times

  /// How long resolving the host's name may take. Default: 10 s.
  public var resolutionTimeout: Duration = .seconds(10)

  /// How long connecting may take, all addresses together. Default: 10 s.
  public var connectTimeout: Duration = .seconds(10)

  /// How long the server may take to answer the upgrade request. Default: 10 s.
  public var handshakeTimeout: Duration = .seconds(10)

  /// How long the closing handshake may take when the call that asks for it says nothing else
  /// (``WebSocketSidecar/close(code:reason:timeout:)``). Default: 5 s. Past it, the connection is dropped.
  ///
  /// When the last Close frame has been sent or received, also where the peer began or broke the protocol, the end of the
  /// stream is waited for: this long, and 1 s at most.
  public var closeTimeout: Duration = .seconds(5)

  // MARK: Limits (RFC 6455 §10.4)

  /// The largest message that is accepted, in bytes. Default: 16 MiB.
  ///
  /// Counted after decompression. A larger one ends the connection with 1009 as soon as it shows. More than 4 GiB − 1 is
  /// taken for that.
  public var maximumMessageSize: Int = ProtocolLimits.defaultMaximumMessageSize

  /// The largest frame that is accepted, in bytes of payload on the wire. Default: nil, as large as a message. A larger one
  /// ends the connection with 1009.
  public var maximumFrameSize: Int?

  /// The most fragments that a message may come in; empty ones count. Default: 16,384. More end the connection
  /// with 1008.
  public var maximumFragmentsPerMessage: Int = 16_384

  // MARK: Back-pressure

  /// How many bytes of messages may wait to be received before the socket is no longer read. Default: 1 MiB.
  ///
  /// Every message is charged 48 bytes beside its own. TCP then pushes back on the peer; nothing is dropped.
  ///
  /// More than this may be held: it is looked at behind each turn of reading, which brings up to 768 KiB and one message; and what
  /// a receiver has begun to take, as much again, is not counted any more.
  public var inboundCapacity: Int = 1 << 20

  /// How many bytes of frames may wait to be written before senders have to. Default: 1 MiB.
  ///
  /// Senders go on when no more than half of this is left. A message is taken whole as long as the queue is below this mark.
  public var outboundCapacity: Int = 1 << 20

  // MARK: The rest

  /// The name of the sidecar's own thread, of which the system shows 15 bytes. Default: `sidecar`. A shared thread has its own.
  public var threadName: String = "sidecar"

  /// Is told what happens to the sidecar. Default: nil.
  ///
  /// Called on whatever thread the event happens, and by two at once if it takes its time: it must return soon, and must not
  /// call the sidecar. The last event is told before `shutdown` returns, unless the log takes more than 20 ms for it, or a thread was
  /// abandoned, which tells of its connection's end when it is free.
  public var onLog: (@Sendable (LogEvent) -> Void)?

  /// Where to connect to, in place of the host and port of the URL. Default: nil.
  ///
  /// The URL still gives the `Host` header and the path of the request: with `.unix(path:)`, `ws://localhost/feed` asks the
  /// server on a Unix-domain socket for `/feed`.
  public var endpoint: WebSocketEndpoint?

  /// Resolves host names; replaced by tests that need a slow or lying resolver.
  package var resolver: Resolver = .system

  /// Makes a configuration with the defaults.
  public init() {}

  var limits: ProtocolLimits {
    ProtocolLimits(
      maximumMessageSize: maximumMessageSize, maximumFrameSize: maximumFrameSize,
      maximumFragmentsPerMessage: maximumFragmentsPerMessage)
  }

  /// The upgrade request to `url`; throws what can't be part of one.
  func request(to url: WebSocketURL) throws(WebSocketError) -> OpeningRequest {
    do {
      return try OpeningRequest(
        host: url.host, port: Int(url.port), isSecure: false, target: url.resource,
        headers: HeaderFields(headers.map { HeaderFields.Field($0.name, $0.value) }), subprotocols: subprotocols,
        deflate: compression?.offer)
    } catch {
      switch error {
      case .host, .target: throw .invalidURL(url.text, reason: error.description)
      default: throw .invalidConfiguration(reason: error.description)
      }
    }
  }

  /// Throws what is out of range.
  func validate() throws(WebSocketError) {
    if let compression { try compression.validate() }
    try check("maximumMessageSize", maximumMessageSize)
    try check("maximumFrameSize", maximumFrameSize ?? 1)
    try check("maximumFragmentsPerMessage", maximumFragmentsPerMessage)
    try check("inboundCapacity", inboundCapacity)
    try check("outboundCapacity", outboundCapacity)
    try check("resolutionTimeout", resolutionTimeout)
    try check("connectTimeout", connectTimeout)
    try check("handshakeTimeout", handshakeTimeout)
    try check("closeTimeout", closeTimeout)
  }

  private func check(_ name: StaticString, _ size: Int) throws(WebSocketError) {
    if size < 1 { throw .invalidConfiguration(reason: "\(name) is \(size), and must be at least 1") }
  }

  private func check(_ name: StaticString, _ time: Duration) throws(WebSocketError) {
    if time <= .zero { throw .invalidConfiguration(reason: "\(name) is \(time), and must be more than nothing") }
  }
}
