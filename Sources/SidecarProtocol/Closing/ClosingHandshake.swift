// The closing handshake (RFC 6455 §7.1).
//
// A connection ends in two steps. Both endpoints send a Close frame, the second one in answer to the first. Then the
// TCP connection ends, the server's side first (§7.1.1), so that TIME_WAIT is on the server. A client therefore waits
// for the end of the stream after the last Close frame, and closes first only when the server takes too long. The
// caller has the clock, and decides how long that is.
//
// After a violation there is no handshake: the endpoint sends a Close frame with the cause and ends the connection
// without listening any more (§7.1.7). A client still gives the server time to end the stream first: closing a socket
// with unread bytes resets the connection, and the reset may overtake the Close frame.
//
//   state           close              receiveClose            fail                receiveEndOfStream
//   ──────────────  ─────────────────  ──────────────────────  ──────────────────  ──────────────────────
//   open            closedByUs         closedByPeer            failed              ended (not clean)
//                   send, await Close  send, then *            send, then *        end the stream
//   closedByUs      –                  acknowledged            failed              ended (not clean)
//                                      *                       *                   end the stream
//   closedByPeer    –                  –                       –                   ended (clean)      end the stream
//   acknowledged    –                  –                       –                   ended (clean)      end the stream
//   failed          –                  –                       –                   ended (violation)  end the stream
//   ended           –                  –                       –                   –
//
//   * a client awaits the end of the stream, a server ends it.   – nothing changes, nothing to do.

/// Decides what each event of the closing handshake asks for; carries nothing out.
@usableFromInline
package struct ClosingHandshake: Sendable {
  /// What the endpoint has to do now: send a Close frame if there is one, then what `next` says.
  @usableFromInline
  package struct Action: Hashable, Sendable {
    package enum Next: Hashable, Sendable {
      /// Go on as before.
      case carryOn

      /// Go on reading: the peer answers with a Close frame, and may send messages before it.
      case awaitClose

      /// Read and discard until the peer ends the stream; end it when that takes too long.
      case awaitEndOfStream

      /// End the stream as soon as everything is written.
      case endStream
    }

    package var close: ClosePayload?
    package var next: Next

    package init(close: ClosePayload? = nil, next: Next) {
      self.close = close
      self.next = next
    }

    /// Nothing to do.
    package static let none = Action(next: .carryOn)
  }

  package enum State: Hashable, Sendable {
    case open

    /// Our Close frame is sent, the peer's is awaited.
    case closedByUs

    /// The peer's Close frame came first and is answered.
    case closedByPeer(received: ClosePayload)

    /// Our Close frame was first, and the peer answered it.
    case acknowledged(received: ClosePayload)

    /// The peer broke the protocol, and was told so.
    case failed(ProtocolViolation)

    /// The stream has ended.
    case ended(ConnectionEnd)
  }

  package let role: Role
  package private(set) var state = State.open

  package init(role: Role) {
    self.role = role
  }

  /// True until a Close frame is sent: no data may follow it (RFC 6455 §5.5.1).
  package var canSend: Bool { state == .open }

  /// True until the peer's Close frame, a violation, or the end of the stream.
  package var canReceive: Bool {
    switch state {
    case .open, .closedByUs: true
    case .closedByPeer, .acknowledged, .failed, .ended: false
    }
  }

  /// How the connection ends, once nothing can change it any more; nil before.
  package var settledEnd: ConnectionEnd? { canReceive ? nil : endIfStreamEnded }

  /// Begins the closing handshake (RFC 6455 §7.1.2). Does nothing if it has begun.
  package mutating func close(_ payload: ClosePayload) -> Action {
    guard case .open = state else { return .none }
    state = .closedByUs
    return Action(close: payload, next: .awaitClose)
  }

  /// Takes the peer's Close frame (RFC 6455 §5.5.1, §7.1.3).
  package mutating func receiveClose(_ received: ClosePayload) -> Action {
    switch state {
    case .open:
      state = .closedByPeer(received: received)
      // §5.5.1: the answer typically echoes the code; without the reason, which is the peer's own.
      return Action(close: received.withoutReason, next: nextAfterLastFrame)
    case .closedByUs:
      state = .acknowledged(received: received)
      return Action(next: nextAfterLastFrame)
    case .closedByPeer, .acknowledged, .failed, .ended:
      return .none
    }
  }

  /// Fails the connection because of what the peer did (RFC 6455 §7.1.7).
  package mutating func fail(_ violation: ProtocolViolation) -> Action {
    switch state {
    case .open:
      state = .failed(violation)
      return Action(close: ClosePayload(violation), next: nextAfterLastFrame)
    case .closedByUs:
      // Our Close frame has been sent, and no frame follows it (§5.5.1).
      state = .failed(violation)
      return Action(next: nextAfterLastFrame)
    case .closedByPeer, .acknowledged, .failed, .ended:
      return .none
    }
  }

  /// Takes the end of the stream, whatever caused it: the connection is closed (RFC 6455 §7.1.4).
  package mutating func receiveEndOfStream() -> ConnectionEnd {
    let end = endIfStreamEnded
    state = .ended(end)
    return end
  }

  private var endIfStreamEnded: ConnectionEnd {
    switch state {
    case .open: ConnectionEnd(streamEndBy: .peer)
    case .closedByUs: ConnectionEnd(streamEndBy: .us)
    case .closedByPeer(let received): ConnectionEnd(received: received, initiator: .peer)
    case .acknowledged(let received): ConnectionEnd(received: received, initiator: .us)
    case .failed(let violation): ConnectionEnd(violation)
    case .ended(let end): end
    }
  }

  // RFC 6455 §7.1.1: the server ends the TCP connection, the client waits for it.
  private var nextAfterLastFrame: Action.Next { role == .client ? .awaitEndOfStream : .endStream }
}

extension ConnectionEnd {
  /// Makes the end of a connection that the peer closed, or whose Close frame it answered (§7.1.5, §7.1.6).
  init(received close: ClosePayload, initiator: Initiator) {
    self.init(
      code: close.code ?? .noStatusReceived, reason: close.reason, initiator: initiator, cause: .closingHandshake)
  }

  /// Makes the end of a connection after a violation (§7.1.7).
  init(_ violation: ProtocolViolation) {
    self.init(
      code: violation.closeCode, reason: violation.summary, initiator: violation.isOwnLimit ? .us : .peer,
      cause: .violation(violation))
  }

  /// Makes the end of a connection whose stream ended without the peer's Close frame (§7.1.5).
  init(streamEndBy initiator: Initiator) {
    self.init(code: .abnormalClosure, initiator: initiator, cause: .streamEnd)
  }
}
