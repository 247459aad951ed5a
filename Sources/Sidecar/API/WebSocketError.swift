public import FoundationEssentials
public import SidecarExecutor
public import SidecarTransport
public import SidecarProtocol

/// Why something asked of a sidecar could not be done.
///
/// Everything that this library throws is one of these, except what a closure of yours throws (`run`,
/// `withWebSocketSidecar`), and the ``SystemError`` of a ``SidecarThread`` that cannot be made. When a connection
/// breaks, every call that waits on it fails. Calls that send may fail first, with the system's error: how the connection
/// ended (``WebSocketSidecar/closeStatus``) is known when everything that the peer sent before has been read, which may
/// include its Close frame.
///
/// Every ``description`` is one line that is safe to show: what a peer wrote is escaped, and no header value, user
/// information or query that you passed is in it.
///
/// ```swift
/// do {
///   try await sidecar.send("hello")
/// } catch WebSocketError.closed(let status) {
///   print("closed:", status.map(String.init(describing:)) ?? "by us")
/// }
/// ```
public indirect enum WebSocketError: Error, Hashable, Sendable {
  // The call is wrong.

  /// The URL cannot be connected to, for the reason given. Holds the URL without user information and query.
  case invalidURL(String, reason: String)
  /// A header, subprotocol, limit or time in the configuration cannot be used. The reason names it, without its value
  /// if that may be secret.
  case invalidConfiguration(reason: String)
  /// Bytes to be sent as text are not UTF-8 at `offset` (RFC 6455 §8.1).
  case invalidText(offset: Int)
  /// A Ping carries at most 125 bytes (RFC 6455 §5.5).
  case pingTooLong(byteCount: Int)
  /// The code cannot be sent (RFC 6455 §7.4), or the reason has more than 123 bytes of UTF-8 (§5.5.1).
  case invalidClose(reason: String)
  /// The shared thread that ran the sidecar has ended: see ``SidecarThread/shutdown(within:)``.
  case threadEnded
  /// A blocking call was made on a sidecar's own thread, which must never wait. Use the asynchronous API there.
  case blockedSidecarThread

  // The connection could not be opened.

  /// The system has no more threads, descriptors or random bytes.
  case systemResources(SystemError)
  /// The host's name could not be turned into an address.
  case resolutionFailed(ResolutionError)
  /// No address of the host accepted a connection. Holds each attempt with its reason.
  case connectFailed(ConnectError)
  /// The server answered the opening handshake with something other than 101 (RFC 6455 §4.1).
  case handshakeRefused(HandshakeRefusal)
  /// The server's response does not open a connection, is not HTTP, or was cut short (RFC 6455 §4.1).
  case handshakeFailed(reason: String)

  // An open connection broke.

  /// The stream was reset (with the system's error) or ended without a Close frame (nil). RFC 6455 §7.1.5 gives this
  /// the code 1006.
  case connectionLost(SystemError?)
  /// The peer broke the protocol. `code` is the one that RFC 6455 has for it; the peer was told so (§7.1.7), unless a
  /// Close frame had been sent to it before.
  case protocolViolation(code: CloseCode, reason: String)
  /// The peer sent more than a limit in this side's ``WebSocketConfiguration`` allows (RFC 6455 §10.4). The reason
  /// names the limit, and how to raise it. The peer was told `code`, unless a Close frame had been sent to it before.
  case limitExceeded(code: CloseCode, reason: String)

  // The call ended, and nothing is wrong with it.

  /// The sidecar is closing or closed. Holds how the connection ended, once it has.
  case closed(CloseStatus?)
  /// This phase took longer than its time-out.
  case timedOut(TimeoutPhase)
  /// The waiting task was cancelled. An open connection is unaffected, connecting is given up, and closing continues.
  case cancelled

  /// What a call was waiting for when it timed out.
  public enum TimeoutPhase: String, Hashable, Sendable {
    /// The resolver's answer.
    case resolution = "the name to be resolved"
    /// A TCP connection.
    case connect = "a TCP connection"
    /// The server's response to the opening request.
    case openingHandshake = "the server's response to the opening handshake"
    /// The connection to open, if it has not, and then room in the outbound queue.
    case send = "the connection to take a message"
    /// A message.
    case receive = "a message"
    /// The connection to open, if it has not, and then the Pong that answers a Ping.
    case pong = "a Pong"
    /// The peer's part of the closing handshake.
    case closingHandshake = "the closing handshake"
    /// User work on the sidecar's thread.
    case run = "work on the sidecar's thread"
  }
}

extension WebSocketError: CustomStringConvertible {
  /// One line that says what happened, and why if that is known. It is safe to show.
  public var description: String { text.escapedForDisplay }

  private var text: String {
    switch self {
    case .invalidURL(let url, let reason): "cannot connect to \"\(url)\": \(reason)"
    case .invalidConfiguration(let reason): "invalid configuration: \(reason)"
    case .invalidText(let offset): "bytes to be sent as text are not UTF-8 at byte \(offset) (RFC 6455 §8.1)"
    case .pingTooLong(let count): "a Ping carries at most 125 bytes, not \(count) (RFC 6455 §5.5)"
    case .invalidClose(let reason): reason
    case .threadEnded: "the thread that ran the sidecar has ended"
    case .blockedSidecarThread: "a blocking call was made on a sidecar's own thread; use the asynchronous API there"
    case .systemResources(let error): "the system is out of resources: \(error)"
    case .resolutionFailed(let error): error.description
    case .connectFailed(let error): error.description
    case .handshakeRefused(let refusal): refusal.description
    case .handshakeFailed(let reason): "the opening handshake failed: \(reason)"
    case .connectionLost(let error?): "the connection was lost: \(error)"
    case .connectionLost(nil): "the connection was lost: the peer ended the stream without a Close frame"
    case .protocolViolation(let code, let reason): "the peer broke the protocol: \(reason) (code \(code))"
    case .limitExceeded(let code, let reason): "\(reason) (code \(code))"
    case .closed(let status?): "the sidecar is closed: \(status)"
    case .closed(nil): "the sidecar is closing"
    case .timedOut(let phase): "timed out waiting for \(phase.rawValue)"
    case .cancelled: "the task was cancelled"
    }
  }

  /// Whether the description contains the close code and its reason.
  var tellsCode: Bool {
    switch self {
    case .protocolViolation, .limitExceeded: true
    default: false
    }
  }
}

extension WebSocketError: LocalizedError {
  /// The ``description``, for code that prints an error's `localizedDescription`.
  public var errorDescription: String? { description }
}
