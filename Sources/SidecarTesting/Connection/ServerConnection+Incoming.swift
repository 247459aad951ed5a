internal import SidecarExecutor
internal import SidecarProtocol

/// What the client says: kept for the script while one runs, answered by the fallback behavior otherwise.
extension ServerConnection {
  func handle(_ message: WebSocketMessage) {
    record(.message(message))
    if script.isOver { respond(to: message) } else { backlog.append(message) }
  }

  func handle(_ event: WebSocketConnection.Event) {
    switch event {
    case .ping(let payload, let answer):
      record(.ping(Array(payload)))
      if !script.isOver { backlog.pings += 1 }
      if answer { payload.withUnsafeBytes { enqueue(.pong, $0) } }
    case .pong(let payload):
      record(.pong(Array(payload)))
      if !script.isOver { backlog.pongs += 1 }
    case .close(let payload, let action):
      record(.close(TestServer.ReceivedClose(code: payload.code, reason: payload.reason)))
      if !script.isOver { backlog.closes += 1 }
      carryOut(action)
    case .violation(let violation, let action):
      record(.violation(violation.description))
      carryOut(action)
    case .requested(let received):
      let request = TestServer.Request(received)
      self.request = request
      record(.request(request))
    case .handshakeFailed:
      if let requestViolation { record(.requestViolation(requestViolation.description)) }
    // A server receives no responses, and its sink is never full.
    case .opened, .pause: break
    }
  }

  /// What is wrong with the opening request; nil if nothing is, or if it is incomplete.
  var requestViolation: HandshakeViolation? {
    if case .handshake(let violation) = protocolState.settledEnd?.cause { violation } else { nil }
  }

  /// What the protocol answers without being asked: a script decides about Close frames and violations itself.
  var automaticReplies: WebSocketConnection.AutomaticReplies {
    if isSilent { return [] }
    var replies: WebSocketConnection.AutomaticReplies = script.isOver ? .closing : []
    if settings.answersPings { replies.insert(.pongs) }
    return replies
  }

  private var isSilent: Bool {
    if case .silent = settings.fallback, script.isOver { true } else { false }
  }

  private func respond(to message: WebSocketMessage) {
    // RFC 6455 §5.5.1: no data follows our Close frame.
    guard protocolState.canSend else { return }
    switch settings.fallback {
    case .echo: enqueue(message)
    case .respond(let answer): for message in answer(message) { enqueue(message) }
    case .discard, .silent, .fireHose: break
    }
  }

  /// Refuses a request that is none (RFC 9110 §15.5.1, §15.5.22). With 426 a server names its version (RFC 6455 §4.4).
  private func refuseRequest(_ violation: HandshakeViolation) {
    var answer = TestServer.Answer(
      status: 400, reason: "Bad Request", headers: [.init("Connection", "close")],
      body: Array("\(violation)\n".utf8))
    if case .unsupportedWebSocketVersion = violation {
      answer.status = 426
      answer.reason = "Upgrade Required"
      answer["Sec-WebSocket-Version"] = "13"
    }
    answer["Content-Length"] = "\(answer.body.count)"
    enqueue(answer.bytes)
    finish()
  }

  private func carryOut(_ action: ClosingHandshake.Action) {
    if let payload = action.close {
      stopRepeating()
      payload.withUnsafeBytes { enqueue(.connectionClose, $0) }
    }
    switch action.next {
    case .endStream: finish()
    // A server ends its half without waiting for the client's (RFC 6455 §7.1.1), so only `endStream` asks for
    // something.
    case .carryOn, .awaitClose, .awaitEndOfStream: break
    }
  }

  /// Ends the stream because the client has ended its half, and no script decides otherwise.
  func answerEndOfInput() {
    if isSilent { return }
    stopRepeating()
    finish()
  }

  /// Hands over from the script to the fallback behavior, which answers what the script has left unanswered.
  func continueWithoutScript() {
    while let message = backlog.takeMessage() { respond(to: message) }
    backlog = ReceiveBacklog()
    if let requestViolation, case .serving = phase {
      unparsed = []
      refuseRequest(requestViolation)
    } else if !isSilent {
      carryOut(protocolState.takeWithheldAction())
    }
    if readSide == .ended { answerEndOfInput() }
  }
}
