internal import SidecarExecutor
internal import SidecarProtocol

/// What the client says, and what is answered: to the script while one runs, by the behaviour otherwise.
extension ServerConnection {
  func handle(_ event: ServerSink.Event) {
    switch event {
    case .message(let message):
      see(.message(message))
      if scriptIsRunning { receiveBacklog.append(message) } else { respond(to: message) }
    case .ping(let payload):
      see(.ping(payload))
      if scriptIsRunning { receiveBacklog.pings += 1 }
      answerPing(payload)
    case .pong(let payload):
      see(.pong(payload))
      if scriptIsRunning { receiveBacklog.pongs += 1 }
    case .close(let code, let reason):
      let close = TestServer.ReceivedClose(code: code, reason: reason)
      receivedClose = close
      see(.close(close))
      if scriptIsRunning { receiveBacklog.closes += 1 } else { answerClose() }
    case .violation(let violation):
      self.violation = violation
      see(.violation(violation.description))
      if !scriptIsRunning { answerViolation() }
    }
  }

  private var isSilent: Bool {
    if case .silent = continuationKind, !scriptIsRunning { true } else { false }
  }

  func respond(to message: WebSocketMessage) {
    // RFC 6455 §5.5.1: behind our Close frame, no data is sent.
    guard closing.canSend else { return }
    switch continuationKind {
    case .echo: write(message)
    case .respond(let answer): for message in answer(message) { write(message) }
    case .discard, .silent, .fireHose: break
    }
  }

  /// RFC 6455 §5.5.2: a Ping is answered by a Pong with the same payload, unless a Close frame has been received; and
  /// §5.5.1: behind our own Close frame, nothing is sent.
  private func answerPing(_ payload: [UInt8]) {
    guard answersPings, !isSilent, closing.canSend else { return }
    payload.withUnsafeBytes { write(.pong, $0) }
  }

  func answerClose() {
    guard !isSilent, let receivedClose else { return }
    perform(closing.receiveClose(receivedClose.code, reason: receivedClose.reason))
  }

  func answerViolation() {
    guard !isSilent, let violation else { return }
    perform(closing.fail(violation))
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

  private func perform(_ action: ClosingHandshake.Action) {
    switch action {
    case .writeClose(let payload, let sequel):
      endStreamOfFrames()
      payload.withUnsafeBytes { write(.connectionClose, $0) }
      hasSentClose = true
      if sequel == .dropConnection { finish() }
    case .dropConnection: finish()
    case .nothing, .expectEndOfStream: break
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
    } else if violation != nil {
      answerViolation()
    } else if receivedClose != nil {
      answerClose()
    }
    if inputHasEnded { answerEndOfInput() }
  }
}
