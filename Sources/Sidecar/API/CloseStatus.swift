public import SidecarProtocol

/// How a connection ended.
public struct CloseStatus: Hashable, Sendable, CustomStringConvertible {
  /// The side that ended the connection.
  public enum Initiator: Hashable, Sendable {
    /// This side sent the first Close frame, gave the connection up, or ended it because of one of its own limits.
    case us
    /// The peer sent the first Close frame, broke the protocol, or its end of the stream broke.
    case peer
  }

  /// The code of the Close frame that ended the connection: the peer's, if it sent one. 1005 if that frame had no code,
  /// 1006 if the peer sent no Close frame (RFC 6455 §7.1.5). After a violation, the code that the RFC has for it
  /// (§7.1.7).
  public let code: CloseCode

  /// The reason in that Close frame, often empty (RFC 6455 §7.1.6). Unless the peer broke the protocol, this is the
  /// peer's text, which may contain any character. ``description`` escapes it.
  public let reason: String

  /// The side that began.
  public let initiator: Initiator

  /// What went wrong, or nil if both Close frames were exchanged ("cleanly", RFC 6455 §7.1.4).
  public let error: WebSocketError?

  /// How many messages were dropped while the connection was closing, because the inbox was full and they were not
  /// received: after ``WebSocketSidecar/close(code:reason:timeout:)`` a full inbox does not hold up the peer's Close
  /// frame.
  public let droppedMessageCount: Int

  package init(
    code: CloseCode, reason: String, initiator: Initiator, error: WebSocketError?, droppedMessageCount: Int = 0
  ) {
    self.code = code
    self.reason = reason
    self.initiator = initiator
    self.error = error
    self.droppedMessageCount = droppedMessageCount
  }

  /// Whether both Close frames were exchanged ("cleanly", RFC 6455 §7.1.4), whatever their code.
  public var wasClean: Bool { error == nil }

  /// Whether the connection ended as planned: cleanly, and either closed by us or with 1000, 1001 or no code. Receiving
  /// then ends without an error.
  public var isOrderly: Bool {
    guard wasClean else { return false }
    return initiator == .us || code == .normalClosure || code == .goingAway || code == .noStatusReceived
  }

  /// One line that is safe to show: who, the code, the reason and what went wrong.
  public var description: String {
    if let error, error.tellsCode { return error.description }
    let who = initiator == .us ? "closed by us" : "closed by the peer"
    let why = reason.isEmpty ? "" : ", reason \(reason.quotedForDisplay)"
    let how = error.map { ": \($0)" } ?? ""
    return "\(who) with \(code)\(why)\(how)"
  }
}
