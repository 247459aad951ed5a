// The closing handshake (RFC 6455 §7.1).
//
// A connection ends in two steps: both endpoints send a Close frame, the one who had not begun by answering; then the TCP
// connection ends, the server's side first (§7.1.1), so that the port that has to wait for late packets is the server's.
// A client therefore waits for the end of the stream after the last Close frame, and ends it itself only when the server
// takes too long. How long that is, and every other wait, is a matter of the caller, who has the clock.
//
// After a violation there is no handshake: the endpoint says why in a Close frame and ends the connection without
// listening any more (§7.1.7). The client still gives the server time to end it first: a socket closed on unread bytes
// is reset, and the reset may overtake the Close frame.
//
//   state           sendClose          receiveClose            fail                receiveEndOfStream
//   ──────────────  ─────────────────  ──────────────────────  ──────────────────  ──────────────────────
//   open            closedByUs         closedByPeer            failed              ended (not clean)
//                   write, await Close write, then *           write, then *       drop
//   closedByUs      –                  acknowledged            failed              ended (not clean)
//                                      *                       *                   drop
//   closedByPeer    –                  –                       –                   ended (clean)  drop
//   acknowledged    –                  –                       –                   ended (clean)  drop
//   failed          –                  –                       –                   ended (not clean)  drop
//   ended           –                  –                       –                   –
//
//   * the client expects the end of the stream, the server drops the connection.   – nothing changes, nothing to do.

/// Decides what each step of closing asks for next; carries nothing out.
package struct ClosingHandshake: Sendable {
  /// What the endpoint has to do now.
  package enum Action: Hashable, Sendable {
    case nothing

    /// Write a Close frame as the last frame, and then do what `then` says.
    case writeClose(ClosePayload, then: Sequel)

    /// Read on, discarding, until the peer ends the stream; drop the connection when that takes too long.
    case expectEndOfStream

    /// End the TCP connection.
    case dropConnection
  }

  package enum Sequel: Hashable, Sendable {
    /// Read on: the peer answers with a Close frame, and may send messages before.
    case awaitClose

    /// Read on, discarding, until the peer ends the stream; drop the connection when that takes too long.
    case expectEndOfStream

    /// End the TCP connection as soon as the frame is written.
    case dropConnection
  }

  package enum State: Hashable, Sendable {
    case open

    /// Our Close frame is sent, the peer's is awaited.
    case closedByUs(sent: ClosePayload)

    /// The peer's Close frame came first and is answered.
    case closedByPeer(received: ClosePayload)

    /// Our Close frame was first, and the peer answered it.
    case acknowledged(sent: ClosePayload, received: ClosePayload)

    /// The peer broke the protocol, and was told so.
    case failed(ProtocolViolation)

    /// The stream has ended.
    case ended(Outcome)
  }

  /// What closing came to (RFC 6455 §7.1.4 to §7.1.6).
  package struct Outcome: Hashable, Sendable {
    /// The peer's code; 1005 if its Close frame had none, 1006 if there was no Close frame (§7.1.5). After a violation,
    /// the code that this endpoint sent.
    package let code: CloseCode

    /// The peer's reason, or empty (§7.1.6). After a violation, what it was.
    package let reason: String

    /// Whether both Close frames were exchanged (§7.1.4).
    package let isClean: Bool

    /// Whether this endpoint sent its Close frame first.
    package let isInitiatedByUs: Bool
  }

  package let role: Role
  package private(set) var state = State.open

  package init(role: Role) {
    self.role = role
  }

  /// Whether data may still be sent: not behind a Close frame (RFC 6455 §5.5.1).
  package var canSend: Bool { state == .open }

  /// Whether what arrives still counts: up to the peer's Close frame or a violation.
  package var canReceive: Bool {
    switch state {
    case .open, .closedByUs: true
    default: false
    }
  }

  /// What closing came to, or would come to if the stream ended now; `nil` while nobody has begun to close.
  package var outcome: Outcome? {
    switch state {
    case .open: nil
    default: outcomeAtEndOfStream
    }
  }

  /// Begins the closing handshake (RFC 6455 §7.1.2). Does nothing if it has begun.
  package mutating func sendClose(_ payload: ClosePayload) -> Action {
    guard case .open = state else { return .nothing }
    state = .closedByUs(sent: payload)
    return .writeClose(payload, then: .awaitClose)
  }

  /// Takes the peer's Close frame (RFC 6455 §5.5.1, §7.1.3).
  package mutating func receiveClose(_ code: CloseCode?, reason: String) -> Action {
    let received = ClosePayload(received: code, reason: reason)
    switch state {
    case .open:
      state = .closedByPeer(received: received)
      // §5.5.1: the answer typically echoes the code; without the reason, which is the peer's own.
      return .writeClose(ClosePayload(received: code, reason: ""), then: sequelOfLastFrame)
    case .closedByUs(let sent):
      state = .acknowledged(sent: sent, received: received)
      return actionAfterLastFrame
    case .closedByPeer, .acknowledged, .failed, .ended:
      return .nothing
    }
  }

  /// Fails the connection because of what the peer did (RFC 6455 §7.1.7).
  package mutating func fail(_ violation: ProtocolViolation) -> Action {
    switch state {
    case .open:
      state = .failed(violation)
      return .writeClose(ClosePayload(violation), then: sequelOfLastFrame)
    case .closedByUs:
      // There is a Close frame already, and none goes behind it (§5.5.1).
      state = .failed(violation)
      return actionAfterLastFrame
    case .closedByPeer, .acknowledged, .failed, .ended:
      return .nothing
    }
  }

  /// Takes the end of the stream, however it came: the connection is closed (RFC 6455 §7.1.4).
  package mutating func receiveEndOfStream() -> Action {
    if case .ended = state { return .nothing }
    state = .ended(outcomeAtEndOfStream)
    return .dropConnection
  }

  private var outcomeAtEndOfStream: Outcome {
    switch state {
    case .open:
      Outcome(code: .abnormalClosure, reason: "", isClean: false, isInitiatedByUs: false)
    case .closedByUs:
      Outcome(code: .abnormalClosure, reason: "", isClean: false, isInitiatedByUs: true)
    case .closedByPeer(let received):
      Outcome(
        code: received.code ?? .noStatusReceived, reason: received.reason, isClean: true, isInitiatedByUs: false)
    case .acknowledged(_, let received):
      Outcome(
        code: received.code ?? .noStatusReceived, reason: received.reason, isClean: true, isInitiatedByUs: true)
    case .failed(let violation):
      Outcome(code: violation.closeCode, reason: violation.summary, isClean: false, isInitiatedByUs: true)
    case .ended(let outcome):
      outcome
    }
  }

  // RFC 6455 §7.1.1: the server ends the TCP connection, the client waits for it.
  private var sequelOfLastFrame: Sequel { role == .client ? .expectEndOfStream : .dropConnection }
  private var actionAfterLastFrame: Action { role == .client ? .expectEndOfStream : .dropConnection }
}
