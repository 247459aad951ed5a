internal import SidecarExecutor
internal import SidecarProtocol
internal import SidecarTransport

/// Closing (RFC 6455 §7). The protocol decides; this file carries it out and keeps the deadlines.
extension Connection {
  /// Begins to close, or hurries a close that is under way: the connection is dropped at `deadline`.
  func close(_ payload: ClosePayload, deadline: Deadline) {
    switch phase {
    case .ending, .ended: return
    case .idle, .connecting: failConnecting(.closed(nil))
    case .connected:
      guard protocolState.isOpen else { return streamEnded(.byUs, because: .closed(nil)) }
      // A full inbox does not hold up the peer's Close frame.
      shared.inbox.letOverflow()
      resumeReading()
      carryOut(protocolState.close(payload))
      if case .connected = phase { dropNoLater(than: deadline) }
    }
  }

  /// Carries out what the closing handshake asks for.
  func carryOut(_ action: ClosingHandshake.Action) {
    let settled = protocolState.settledEnd.map { closeStatus($0, because: nil) }
    // Set before any receiver is told of the end.
    if let settled { shared.settledStatus.complete(settled) }
    if let payload = action.close {
      shared.sendQueue.sendClose(payload, refusingWith: settled?.errorForLaterCalls ?? .closed(nil))
      flush()
    }
    guard case .connected = phase else { return }
    switch action.next {
    case .carryOn, .awaitClose: break
    // `.endStream` is for servers only (RFC 6455 §7.1.1).
    case .awaitEndOfStream, .endStream: awaitEndOfStream()
    }
    // Nothing can change the status now, so waiting calls return before the end of the stream.
    if let settled { _ = shared.release(settled) }
  }

  private func awaitEndOfStream() {
    // What arrives is discarded; it is read to find the end of the stream.
    resumeReading()
    thread.loop.expectAnswer()
    dropNoLater(than: .after(min(Connection.endOfStreamGrace, configuration.closeTimeout)))
  }

  private func dropNoLater(than deadline: Deadline) {
    let deadline = deadline.earlier(timerDeadline)
    setTimer(deadline) { $0.streamEnded(.byUs, because: .timedOut(.closingHandshake)) }
  }

  /// Ends the connection, because its stream is over.
  ///
  /// - Parameter failure: Why, if the end was not clean.
  @inline(never)  // For the reason that `handle(_:)` gives.
  func streamEnded(_ how: WebSocketConnection.StreamEnd, because failure: WebSocketError? = nil) {
    guard case .connected = phase else { return }
    let failure = failure ?? .connectionLost(streamError)
    endConnection(closeStatus(protocolState.streamEnded(how), because: failure))
  }
}

extension Connection {
  /// Converts how the connection ended for the application: the only place that makes a status.
  ///
  /// - Parameters:
  ///   - end: What the protocol decided.
  ///   - failure: Why the stream ended early, if it did.
  nonisolated func closeStatus(_ end: ConnectionEnd, because failure: WebSocketError?) -> CloseStatus {
    let error: WebSocketError? =
      switch end.cause {
      case .closingHandshake: nil
      case .violation(let violation): WebSocketError(violation, configuration: configuration)
      case .handshake(let violation): WebSocketError(violation)
      case .streamEnd: failure ?? .connectionLost(nil)
      }
    return CloseStatus(
      code: end.code, reason: end.reason, initiator: end.initiator == .us ? .us : .peer, error: error,
      droppedMessageCount: shared.inbox.overflowCount)
  }
}

extension CloseStatus {
  /// The error of every call after this end.
  var errorForLaterCalls: WebSocketError { error ?? .closed(self) }
}

extension ClosePayload {
  /// The connection has fulfilled its purpose: 1000 (RFC 6455 §7.4.1).
  static var normal: ClosePayload { (try? ClosePayload(.normalClosure)) ?? .empty }

  /// The endpoint goes away without time for more: 1001 (RFC 6455 §7.4.1).
  static var goingAway: ClosePayload { (try? ClosePayload(.goingAway)) ?? .empty }
}
