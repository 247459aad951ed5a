/// How a connection ended (RFC 6455 §7.1.4 to §7.1.6).
///
/// `ClosingHandshake` decides it, or `WebSocketConnection` if the connection never opened. Without either, where there
/// was no stream or the thread was given up, it is ``abandoned``.
package struct ConnectionEnd: Hashable, Sendable {
  /// Which endpoint began to end the connection.
  package enum Initiator: Hashable, Sendable {
    case us
    case peer
  }

  /// What ended the connection.
  package enum Cause: Hashable, Sendable {
    /// Both Close frames were exchanged ("cleanly", §7.1.4).
    case closingHandshake

    /// The peer broke the protocol or one of our limits (§7.1.7).
    case violation(ProtocolViolation)

    /// The opening handshake failed (§4.1).
    case handshake(HandshakeViolation)

    /// The stream ended, or was given up, before the peer's Close frame.
    case streamEnd
  }

  /// The peer's code; 1005 if its Close frame had none, 1006 if there was no Close frame (§7.1.5). After a violation,
  /// the code that this endpoint sent.
  package let code: CloseCode

  /// The peer's reason, or empty (§7.1.6). After a violation, what it was.
  package let reason: String

  package let initiator: Initiator

  package let cause: Cause

  init(code: CloseCode, reason: String = "", initiator: Initiator, cause: Cause) {
    self.code = code
    self.reason = reason
    self.initiator = initiator
    self.cause = cause
  }

  /// The end of a connection that this endpoint gave up.
  package static let abandoned = ConnectionEnd(code: .abnormalClosure, initiator: .us, cause: .streamEnd)
}
