/// Says why a WebSocket connection was closed.
///
/// The codes from 1000 to 2999 are defined by RFC 6455 §7.4.1 and by the registry of §11.7; 3000 to 3999 are registered
/// by libraries and frameworks; 4000 to 4999 are free for applications to agree on (§7.4.2). No other code exists.
///
/// ```swift
/// let mine: CloseCode = 4001
/// print(CloseCode.goingAway)  // 1001 (going away)
/// ```
///
/// A value type: safe to share between threads.
public struct CloseCode: RawRepresentable, Hashable, Sendable {
  /// The number on the wire, from 1000 to 4999.
  public let rawValue: UInt16

  /// Makes the code with this number, or `nil` if the number is not from 1000 to 4999 (RFC 6455 §7.4.2).
  public init?(rawValue: UInt16) {
    guard (1000...4999).contains(rawValue) else { return nil }
    self.rawValue = rawValue
  }

  private init(named rawValue: UInt16) {
    self.rawValue = rawValue
  }

  /// Says that the purpose of the connection was fulfilled: 1000 (RFC 6455 §7.4.1).
  public static let normalClosure = CloseCode(named: 1000)

  /// Says that an endpoint goes away, such as a server that shuts down: 1001 (RFC 6455 §7.4.1).
  public static let goingAway = CloseCode(named: 1001)

  /// Says that the peer broke the protocol: 1002 (RFC 6455 §7.4.1).
  public static let protocolError = CloseCode(named: 1002)

  /// Says that a message was of a kind that the endpoint does not take: 1003 (RFC 6455 §7.4.1).
  public static let unsupportedData = CloseCode(named: 1003)

  /// Stands for a Close frame without a code: 1005. Never on the wire (RFC 6455 §7.4.1).
  public static let noStatusReceived = CloseCode(named: 1005)

  /// Stands for a connection that ended without a Close frame: 1006. Never on the wire (RFC 6455 §7.4.1).
  public static let abnormalClosure = CloseCode(named: 1006)

  /// Says that a message's content did not fit its kind, such as text that is not UTF-8: 1007 (RFC 6455 §7.4.1).
  public static let invalidFramePayloadData = CloseCode(named: 1007)

  /// Says that a message was against the endpoint's policy: 1008 (RFC 6455 §7.4.1).
  public static let policyViolation = CloseCode(named: 1008)

  /// Says that a message was too big to be processed: 1009 (RFC 6455 §7.4.1).
  public static let messageTooBig = CloseCode(named: 1009)

  /// Says that the server did not agree to an extension that the client needs: 1010 (RFC 6455 §7.4.1).
  public static let mandatoryExtension = CloseCode(named: 1010)

  /// Says that the server met a condition that it did not expect: 1011 (RFC 6455 §7.4.1).
  public static let internalError = CloseCode(named: 1011)

  /// Says that the server restarts, and that the client may connect again: 1012 (IANA registry, RFC 6455 §11.7).
  public static let serviceRestart = CloseCode(named: 1012)

  /// Says that the server is overloaded, and that the client should come back later: 1013 (IANA registry, RFC 6455
  /// §11.7).
  public static let tryAgainLater = CloseCode(named: 1013)

  /// Says that a gateway had an invalid response from the server behind it: 1014 (IANA registry, RFC 6455 §11.7).
  public static let badGateway = CloseCode(named: 1014)

  /// Stands for a TLS handshake that failed: 1015. Never on the wire (RFC 6455 §7.4.1).
  public static let tlsHandshakeFailed = CloseCode(named: 1015)

  /// Whether a Close frame may carry the code.
  ///
  /// False for 1005, 1006 and 1015, which only stand for what happened, and for the numbers up to 2999 that are not
  /// defined yet (RFC 6455 §7.4.1 and §7.4.2). A frame that carries one of those is a protocol error.
  public var isSendable: Bool {
    switch rawValue {
    case 1000...1003, 1007...1014, 3000...4999: true
    default: false
    }
  }

  /// Whether the code is one of those that applications use among themselves, from 4000 to 4999 (RFC 6455 §7.4.2).
  public var isApplicationDefined: Bool { rawValue >= 4000 }
}

extension CloseCode: ExpressibleByIntegerLiteral {
  /// Makes the code with this number.
  ///
  /// A number that is not from 1000 to 4999 stops the program: it can only be a mistake in the source.
  public init(integerLiteral value: UInt16) {
    precondition((1000...4999).contains(value), "\(value) is no close code: they go from 1000 to 4999.")
    self.init(named: value)
  }
}

extension CloseCode: CustomStringConvertible {
  /// The number and, where it has one, its name: `1002 (protocol error)`.
  public var description: String {
    guard let name else { return "\(rawValue)" }
    return "\(rawValue) (\(name))"
  }

  private var name: String? {
    switch rawValue {
    case 1000: "normal closure"
    case 1001: "going away"
    case 1002: "protocol error"
    case 1003: "unsupported data"
    case 1005: "no status received"
    case 1006: "abnormal closure"
    case 1007: "invalid frame payload data"
    case 1008: "policy violation"
    case 1009: "message too big"
    case 1010: "mandatory extension"
    case 1011: "internal error"
    case 1012: "service restart"
    case 1013: "try again later"
    case 1014: "bad gateway"
    case 1015: "TLS handshake failed"
    default: nil
    }
  }
}
