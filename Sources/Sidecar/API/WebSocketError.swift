public import FoundationEssentials
public import SidecarExecutor
public import SidecarTransport
public import SidecarProtocol

/// Why something asked of a sidecar could not be done.
///
/// Everything this library throws is one of these, except what a closure of yours throws itself (`run`,
/// `withWebSocketSidecar`), and the ``SystemError`` of a ``SidecarThread`` that can't be made. When a connection breaks, every call that waits on it fails at once, and with the same error.
public indirect enum WebSocketError: Error, Hashable, Sendable {
  // What is wrong with the question.

  /// The URL can't be connected to; `reason` says what is wrong with it.
  case invalidURL(String, reason: String)
  /// A header, subprotocol, limit or time in the configuration can't be used; `reason` names it.
  case invalidConfiguration(reason: String)
  /// Bytes that were to be sent as text are not UTF-8 at `offset` (RFC 6455 §8.1).
  case invalidText(offset: Int)
  /// A Ping carries at most 125 bytes (RFC 6455 §5.5).
  case pingTooLong(byteCount: Int)
  /// The code can't be sent (RFC 6455 §7.4), or the reason has more than 123 bytes of UTF-8 (§5.5.1).
  case invalidClose(reason: String)
  /// The shared thread that ran the sidecar has ended: see ``SidecarThread/shutdown(within:)``.
  case threadEnded
  /// A blocking call was made on a sidecar's own thread, which must never wait. Use the asynchronous API there.
  case blockedSidecarThread

  // What went wrong on the way to an open connection.

  /// The process is out of threads or descriptors.
  case systemResources(SystemError)
  /// The host's name could not be turned into an address.
  case resolutionFailed(ResolutionError)
  /// No address of the host accepted a connection; holds each attempt with its reason.
  case connectFailed(ConnectError)
  /// The server answered the opening handshake with something other than 101 (RFC 6455 §4.1).
  case handshakeRefused(HandshakeRefusal)
  /// The server's answer to the opening handshake is not one that opens a connection; `reason` says why (RFC 6455 §4.1).
  case handshakeFailed(reason: String)

  // What went wrong with an open connection.

  /// The stream was reset (with the system's error) or ended without a Close frame (nil). RFC 6455 §7.1.5 gives this
  /// the code 1006.
  case connectionLost(SystemError?)
  /// The peer broke the protocol or a limit; it was told so with `code` (RFC 6455 §7.1.7).
  case protocolViolation(code: CloseCode, reason: String)

  // Why a call ended although nothing is wrong with it.

  /// The sidecar is closing or closed. Holds how the connection ended, once it has.
  case closed(CloseStatus?)
  /// The time for this step was over.
  case timedOut(TimeoutPhase)
  /// The task that was waiting was cancelled. The connection is as it was; but connecting is given up, and closing goes on.
  case cancelled

  /// What a call was waiting for when its time was over.
  public enum TimeoutPhase: String, Hashable, Sendable {
    /// The resolver's answer.
    case resolution = "the name to be resolved"
    /// A TCP connection.
    case connect = "a TCP connection"
    /// The server's answer to the upgrade request.
    case openingHandshake = "the server's answer to the opening handshake"
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
  /// One line that says what happened, and why if that is known.
  public var description: String {
    switch self {
    case .invalidURL(let url, let reason): "\(url.debugDescription) is not a WebSocket URL: \(reason)"
    case .invalidConfiguration(let reason): "invalid configuration: \(reason)"
    case .invalidText(let offset): "bytes to be sent as text are not UTF-8 at byte \(offset) (RFC 6455 §8.1)"
    case .pingTooLong(let count): "a Ping carries at most 125 bytes, not \(count) (RFC 6455 §5.5)"
    case .invalidClose(let reason): reason
    case .threadEnded: "the thread that ran the sidecar has ended"
    case .blockedSidecarThread: "a blocking call was made on a sidecar's own thread; use the asynchronous API there"
    case .systemResources(let error): "cannot start a sidecar: \(error)"
    case .resolutionFailed(let error): error.description
    case .connectFailed(let error): error.description
    case .handshakeRefused(let refusal): refusal.description
    case .handshakeFailed(let reason): "the opening handshake failed: \(reason)"
    case .connectionLost(let error?): "the connection was lost: \(error)"
    case .connectionLost(nil): "the connection was lost: the peer ended the stream without a Close frame"
    case .protocolViolation(let code, let reason): "the peer broke the protocol: \(reason) (closed with \(code))"
    case .closed(let status?): "the sidecar is closed: \(status)"
    case .closed(nil): "the sidecar is closing"
    case .timedOut(let phase): "timed out waiting for \(phase.rawValue)"
    case .cancelled: "the task was cancelled"
    }
  }
}

extension WebSocketError: LocalizedError {
  /// The ``description``: what code prints that knows no more of an error than its `localizedDescription`.
  public var errorDescription: String? { description }
}

/// A server's answer that is not 101: what it said instead of opening a WebSocket connection.
public struct HandshakeRefusal: Hashable, Sendable, CustomStringConvertible {
  /// The HTTP status code, such as 401.
  public let status: Int
  /// The reason phrase behind it, often empty.
  public let reason: String
  /// The header fields, in the order in which they came.
  public let headers: [HeaderField]
  /// The beginning of the body: as much of it as came together with the head, at most 1 KiB.
  public let body: [UInt8]

  /// One header field.
  public struct HeaderField: Hashable, Sendable {
    /// The name as the server spelled it; compare it without regard to case.
    public let name: String
    /// The value without surrounding white space.
    public let value: String
  }

  /// One line: the status and the reason phrase.
  public var description: String {
    "the server answered \(status)\(reason.isEmpty ? "" : " \(reason)") instead of 101 (RFC 6455 §4.1)"
  }
}
