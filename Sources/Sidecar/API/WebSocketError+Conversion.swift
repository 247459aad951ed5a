internal import SidecarProtocol

extension WebSocketError {
  /// Converts a violation of the protocol, or of one of our limits.
  init(_ violation: ProtocolViolation) {
    self = .protocolViolation(code: violation.closeCode, reason: violation.summary)
  }

  /// Converts a response that does not open the connection.
  init(_ violation: HandshakeViolation) {
    switch violation {
    case .refused(let refusal):
      self = .handshakeRefused(
        HandshakeRefusal(
          status: refusal.status, reason: refusal.reason,
          headers: refusal.headers.fields.map { .init(name: $0.name, value: $0.value) }, body: refusal.bodyPrefix))
    default:
      self = .handshakeFailed(reason: violation.description)
    }
  }
}
