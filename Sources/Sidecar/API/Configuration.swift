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

  /// Header fields to send with the opening request, in this order. Default: none.
  ///
  /// Names must be tokens, and values must have no control character except the tab. The headers of the handshake
  /// cannot be set: `Host`, `Upgrade`, `Connection`, `Sec-WebSocket-Key`, `-Version`, `-Protocol`, `-Extensions` and
  /// `-Accept`, and `Content-Length` and `Transfer-Encoding`, which would announce a body. Otherwise connecting throws
  /// ``WebSocketError/invalidConfiguration(reason:)``, which names the header and the position, and never shows a
  /// value.
  public var headers: [(name: String, value: String)] = []

  /// The subprotocols to offer, the preferred one first (RFC 6455 §1.9). Default: none.
  ///
  /// The server chooses one or none. If it chooses one that was not offered, the handshake fails.
  public var subprotocols: [String] = []

  /// Compression of messages by permessage-deflate (RFC 7692): what to offer, or nil for none. Default: nil.
  ///
  /// Off by default: it costs up to 300 KiB of memory for each connection and most of the speed, and gains nothing for
  /// data that is already compressed. Where secrets and an attacker's text share a connection, message sizes reveal the
  /// secrets. For large, repetitive text over a slow network it is worth it.
  public var compression: WebSocketCompression?

  // MARK: Times

  /// How long resolving the host's name may take. Default: 10 s.
  public var resolutionTimeout: Duration = .seconds(10)

  /// How long connecting may take, for all addresses together. Default: 10 s.
  public var connectTimeout: Duration = .seconds(10)

  /// How long the server may take to answer the opening request, the body of a refusal included. Default: 10 s.
  public var handshakeTimeout: Duration = .seconds(10)

  /// How long the closing handshake may take, unless the call that begins it sets a time-out
  /// (``WebSocketSidecar/close(code:reason:timeout:)``). Default: 5 s. The connection is then dropped.
  ///
  /// After the last Close frame the sidecar waits this long for the end of the stream, but at most 1 s.
  public var closeTimeout: Duration = .seconds(5)

  // MARK: Limits (RFC 6455 §10.4)

  /// The largest message that is accepted, in bytes. Default: 16 MiB.
  ///
  /// Counted after decompression. A larger message ends the connection with 1009 and
  /// ``WebSocketError/limitExceeded(code:reason:)`` as soon as its size is known. Values above 4 GiB − 1 mean 4 GiB −
  /// 1.
  public var maximumMessageSize: Int = ProtocolLimits.defaultMaximumMessageSize

  /// The largest frame that is accepted, in bytes of payload on the wire. Default: nil, the same as
  /// ``maximumMessageSize``. A larger one ends the connection with 1009.
  public var maximumFrameSize: Int?

  /// The most fragments that a message may have, empty ones included. Default: 16,384. More end the connection with
  /// 1008.
  public var maximumFragmentsPerMessage: Int = 16_384

  // MARK: Back-pressure

  /// How many bytes of received messages may be queued before the sidecar stops reading the socket. Default: 1 MiB.
  ///
  /// Each message counts 48 bytes more than its size. TCP then pushes back on the peer; nothing is dropped.
  ///
  /// A soft limit, checked after each read turn: a turn adds up to 768 KiB and one message. A batch that a receiver has
  /// begun to take, at most as much again, is not counted.
  public var inboundCapacity: Int = 1 << 20

  /// How many bytes of frames may be queued before senders wait. Default: 1 MiB.
  ///
  /// Senders continue once the queue is down to half of this. Below the mark a message is queued whole, whatever its
  /// size.
  public var outboundCapacity: Int = 1 << 20

  // MARK: The rest

  /// The name of the sidecar's own thread, of which the system shows 15 bytes. Default: `sidecar`. A shared thread
  /// keeps its name.
  public var threadName: String = "sidecar"

  /// A function that is called with each event in the sidecar's life. Default: nil.
  ///
  /// It is called on the thread where the event happens, perhaps on two threads at once. It must return soon and must
  /// not call the sidecar. The last call returns before `shutdown` does, unless it takes more than 20 ms or a thread
  /// was abandoned, which reports its connection's end once it is free.
  public var onLog: (@Sendable (LogEvent) -> Void)?

  /// Where to connect to, in place of the host and port of the URL. Default: nil.
  ///
  /// The URL still gives the `Host` header and the path of the request: with `.unix(path:)`, `ws://localhost/feed` asks
  /// the server on a Unix-domain socket for `/feed`.
  public var endpoint: WebSocketEndpoint?

  /// Resolves host names. Tests replace it by a slow or lying one.
  package var resolver: Resolver = .system

  /// Makes a configuration with the defaults.
  public init() {}

  var limits: ProtocolLimits {
    ProtocolLimits(
      maximumMessageSize: maximumMessageSize, maximumFrameSize: maximumFrameSize,
      maximumFragmentsPerMessage: maximumFragmentsPerMessage)
  }

  /// Makes the opening request to `url`.
  ///
  /// - Throws: ``WebSocketError/invalidConfiguration(reason:)`` if a header or a subprotocol cannot be sent,
  ///   ``WebSocketError/systemResources(_:)`` if the system has no randomness for the key.
  func request(to url: WebSocketURL, randomness: RandomSource = .kernel) throws(WebSocketError) -> OpeningRequest {
    do {
      return try OpeningRequest(
        host: url.host, port: Int(url.port), isSecure: false, target: url.resource,
        headers: HeaderFields(headers.map { HeaderFields.Field($0.name, $0.value) }), subprotocols: subprotocols,
        deflate: compression?.offer, randomness: randomness)
    } catch {
      switch error {
      case .host, .port, .target: throw .invalidURL(url.redacted, reason: error.description)
      case .randomness(let error): throw WebSocketError(error)
      case .headerName, .headerValue, .reservedHeader, .origin, .subprotocol, .repeatedSubprotocol:
        throw .invalidConfiguration(reason: error.description)
      }
    }
  }

  /// Checks that every value is in its range.
  ///
  /// - Throws: ``WebSocketError/invalidConfiguration(reason:)``, which names the first that is not.
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
    if time <= .zero { throw .invalidConfiguration(reason: "\(name) is \(time), and must be positive") }
  }
}
