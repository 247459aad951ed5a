internal import SidecarExecutor
internal import SidecarProtocol

/// The closing handshake (RFC 6455 §7): the machine decides, this carries out.
extension Connection {
  /// Begins to close from any thread, once the outbox refuses messages: see ``close(_:deadline:discarding:)``. The Close frame
  /// is written from here if nobody else is writing; the rest is the thread's.
  nonisolated func requestClose(_ payload: ClosePayload, deadline: Deadline, discarding: Bool) {
    if !thread.isCurrent { places.outbox.close(payload) }
    post { $0.close(payload, deadline: deadline, discarding: discarding) }
  }

  /// Takes note of a Close frame that another thread has sent; returns whether there was one. Whatever the peer does may be
  /// its answer.
  @discardableResult
  func noteCloseFromElsewhere() -> Bool {
    guard let payload = places.outbox.takeCloseFromElsewhere() else { return false }
    _ = closing.sendClose(payload)
    return true
  }

  /// Begins to close, or hurries a close that is under way: the connection is dropped at `deadline`.
  ///
  /// With `discarding`, messages that still arrive are of no interest, and back-pressure does not hold up the peer's
  /// Close frame.
  func close(_ payload: ClosePayload, deadline: Deadline, discarding: Bool) {
    switch phase {
    case .ending, .ended: return
    case .idle, .resolving, .connecting, .upgrading: failOpening(.closed(nil))
    case .open:
      if discarding { resumeReading() }
      if noteCloseFromElsewhere() { thread.loop.expectAnswer() }
      perform(closing.sendClose(payload))
      if case .open = phase { dropNoLater(than: deadline) }
    }
  }

  func perform(_ action: ClosingHandshake.Action, because violation: ProtocolViolation? = nil) {
    let outcome = settledStatus(violation)
    switch action {
    case .nothing:
      break
    case .writeClose(let payload, let sequel):
      let refusal = outcome.map { $0.error ?? .closed($0) } ?? .closed(nil)
      payload.withUnsafeBytes { places.outbox.sendClose($0, refusingWith: refusal) }
      flush()
      guard case .open = phase else { return }
      switch sequel {
      case .awaitClose: break
      case .expectEndOfStream, .dropConnection: awaitEndOfStream()
      }
    case .expectEndOfStream:
      awaitEndOfStream()
    case .dropConnection:
      break
    }
    // How the connection ends is settled: nobody has to wait for the stream's end to be told.
    if let outcome { places.release(outcome) }
  }

  /// What closing has come to, once no frame can change it any more.
  private func settledStatus(_ violation: ProtocolViolation?) -> CloseStatus? {
    guard !closing.canReceive, let outcome = closing.outcome else { return nil }
    return CloseStatus(
      code: outcome.code, reason: outcome.reason, initiator: outcome.isInitiatedByUs && violation == nil ? .us : .peer,
      error: violation.map { WebSocketError($0, configuration: configuration) })
  }

  private func awaitEndOfStream() {
    // The receiver discards what comes now: it is read to find the end of the stream.
    resumeReading()
    thread.loop.expectAnswer()
    dropNoLater(than: .after(min(Connection.endOfStreamGrace, configuration.closeTimeout)))
  }

  private func dropNoLater(than deadline: Deadline) {
    let deadline = deadline.earlier(timerDeadline)
    setTimer(deadline) { $0.streamEnded(error: nil, giveUp: .timedOut(.closingHandshake)) }
  }

  /// The stream has ended: by itself, by a failure, or (with `giveUp`) because we do not wait for it any longer.
  func streamEnded(error: SystemError?, giveUp: WebSocketError? = nil) {
    switch phase {
    case .ending, .ended, .idle, .resolving, .connecting: return
    case .upgrading(var parser):
      let refusal = error == nil ? parser.receiveEndOfStream() : parser.partialRefusal()
      return failOpening(refusal.map { WebSocketError($0) } ?? .connectionLost(error))
    case .open: break
    }
    noteCloseFromElsewhere()
    var violation: ProtocolViolation?
    if case .failed(let found) = closing.state { violation = found }
    let wasClosing = !closing.canSend
    _ = closing.receiveEndOfStream()
    guard let outcome = closing.outcome else { return }
    if let violation {
      finish(
        CloseStatus(
          code: outcome.code, reason: outcome.reason, initiator: .peer,
          error: WebSocketError(violation, configuration: configuration)))
    } else if outcome.isClean {
      finish(
        CloseStatus(
          code: outcome.code, reason: outcome.reason, initiator: outcome.isInitiatedByUs ? .us : .peer, error: nil))
    } else {
      finish(
        CloseStatus(
          code: outcome.code, reason: outcome.reason, initiator: wasClosing ? .us : .peer,
          error: giveUp ?? .connectionLost(error)))
    }
  }
}
