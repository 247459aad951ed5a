internal import SidecarExecutor
internal import SidecarProtocol

/// What the client says, and what is answered: to the script while one runs, by the behaviour otherwise.
extension ServerConnection {
  func handle(_ message: WebSocketMessage) {
    see(.message(message))
    if scriptIsRunning { receiveBacklog.append(message) } else { respond(to: message) }
  }

  func handle(_ event: WebSocketConnection.Event) {
    switch event {
    case .ping(let payload, let answer):
      see(.ping(Array(payload)))
      if scriptIsRunning { receiveBacklog.pings += 1 }
      if answer { payload.withUnsafeBytes { write(.pong, $0) } }
    case .pong(let payload):
      see(.pong(Array(payload)))
      if scriptIsRunning { receiveBacklog.pongs += 1 }
    case .close(let payload, let reply):
      let close = TestServer.ReceivedClose(code: payload.code, reason: payload.reason)
      receivedClose = close
      see(.close(close))
      if scriptIsRunning { receiveBacklog.closes += 1 }
      carryOut(reply)
    case .violation(let violation, let reply):
      self.violation = violation
      see(.violation(violation.description))
      carryOut(reply)
    case .requested(let received):
      let request = TestServer.Request(received)
      self.request = request
      see(.request(request))
    case .handshakeFailed:
      guard case .handshake(let violation) = protocolState.settledEnd?.cause else { return }
      requestViolation = violation
      see(.requestViolation(violation.description))
    // A server receives no responses, and its sink is never full.
    case .opened, .pause: break
    }
  }

  /// What the protocol answers by itself now: a script decides about Close frames and violations.
  var automaticReplies: WebSocketConnection.AutomaticReplies {
    if isSilent { return [] }
    var replies: WebSocketConnection.AutomaticReplies = scriptIsRunning ? [] : .closing
    if answersPings { replies.insert(.pongs) }
    return replies
  }

  private var isSilent: Bool {
    if case .silent = continuationKind, !scriptIsRunning { true } else { false }
  }

  func respond(to message: WebSocketMessage) {
    // RFC 6455 §5.5.1: behind our Close frame, no data is sent.
    guard protocolState.canSend else { return }
    switch continuationKind {
    case .echo: write(message)
    case .respond(let answer): for message in answer(message) { write(message) }
    case .discard, .silent, .fireHose: break
    }
  }

  /// Answers a Close frame or a violation that came while a script was running.
  private func answerWithheld() {
    if !isSilent { carryOut(protocolState.withheldReply()) }
  }

  /// RFC 9110 §15.5.1 and §15.5.22; RFC 6455 §4.4: a server names the version that it speaks.
  func refuseRequest(_ violation: HandshakeViolation) {
    var answer = TestServer.Answer(
      status: 400, reason: "Bad Request", headers: [.init("Connection", "close")],
      body: Array("\(violation)\n".utf8))
    if case .unsupportedWebSocketVersion = violation {
      answer.status = 426
      answer.reason = "Upgrade Required"
      answer["Sec-WebSocket-Version"] = "13"
    }
    answer["Content-Length"] = "\(answer.body.count)"
    write(answer.bytes)
    finish()
  }

  private func carryOut(_ reply: WebSocketConnection.Reply) {
    if let payload = reply.close {
      endStreamOfFrames()
      payload.withUnsafeBytes { write(.connectionClose, $0) }
      hasSentClose = true
    }
    switch reply.next {
    case .endStream: finish()
    // A server does not wait for the end of the stream before it ends its half (RFC 6455 §7.1.1).
    case .carryOn, .awaitClose, .awaitEndOfStream: break
    }
  }

  /// The client has ended its half of the stream, and no script is there to decide what that means.
  func answerEndOfInput() {
    if isSilent { return }
    endStreamOfFrames()
    finish()
  }

  /// The script is over: what it has left is answered.
  func goOnWithoutScript() {
    while let message = receiveBacklog.takeMessage() { respond(to: message) }
    receiveBacklog = ReceiveBacklog()
    if let requestViolation, case .opening = phase {
      unparsed = []
      refuseRequest(requestViolation)
    } else {
      answerWithheld()
    }
    if inputHasEnded { answerEndOfInput() }
  }
}
