internal import SidecarExecutor
internal import SidecarTransport
internal import SidecarProtocol

/// Running the script.
extension ServerConnection {
  /// Appends steps to the script.
  func perform(_ steps: [TestServer.Step]) {
    guard !hasEnded else { return }
    scriptsTaken += 1
    if isFinishing {
      record(.script(.cutShort(at: steps.first?.description ?? "nothing"), taken: scriptsTaken))
    } else {
      completePartialFrame()
      cursor.append(steps)
      if script.isOver { script = .running }
    }
    pump()
  }

  /// Makes the script's next move.
  ///
  /// - Returns: Whether it made one; false while the script waits or is over.
  func advanceScript() -> Bool {
    switch script {
    case .over: return false
    case .running: break
    case .waiting(let wait):
      switch outcome(of: wait.event) {
      case .pending: return false
      case .satisfied: script = .running
      case .impossible:
        stopScript(at: wait.step)
        continueWithoutScript()
        return true
      }
    }
    guard let move = cursor.advance(now: .now) else {
      stopScript(at: nil)
      continueWithoutScript()
      return true
    }
    switch move {
    case .take(let step): take(step)
    case .enter(let group): groups.enter(group)
    case .leave(let group):
      groups.leave(group)
      // The corked output counts as written when the group is left.
      if case .together = group { script = .waiting(PendingWait(event: .written, step: "together")) }
    }
    return true
  }

  /// Drops what is left of the script and records how it ended.
  ///
  /// - Parameter step: The step that could not be taken; nil if the script is complete, or is ended from outside.
  func stopScript(at step: String?) {
    var interrupted = step
    switch script {
    case .over: return
    case .running: break
    case .waiting(let wait):
      interrupted = step ?? wait.step
      if case .resumption(id: _, let timer) = wait.event { loop.cancel(timer) }
    }
    if interrupted == nil, cursor.hasSteps { interrupted = "a later step" }
    script = .over
    cursor.removeAll()
    groups = OpenGroups()
    record(.script(interrupted.map { .cutShort(at: $0) } ?? .finished, taken: scriptsTaken))
  }

  /// Ends the wait with this number, unless the script has left it already.
  func resumeScript(_ id: UInt64) {
    guard case .waiting(let wait) = script, case .resumption(id: id, timer: _) = wait.event else { return }
    script = .running
    pump()
  }

  // MARK: Steps

  private func take(_ step: TestServer.Step) {
    func wait(for event: PendingWait.Event) {
      script = .waiting(PendingWait(event: event, step: step.description))
    }
    switch step.action {
    case .write(let bytes):
      enqueue(bytes)
      wait(for: .written)
    case .message(let message, let fragmentSize):
      enqueue(message, fragmentSize: fragmentSize)
      wait(for: .written)
    case .frame(let frame):
      enqueue(frame.bytes)
      // The client may decompress the frame, which changes its window.
      if frame.rsv1 { compressor.invalidateContext() }
      wait(for: .written)
    case .answer(let answer):
      guard let request else { return }
      send(answer(request, options))
      wait(for: .written)
    case .sendClose(let payload, let bytes):
      protocolState.recordClose(payload)
      stopRepeating()
      enqueue(bytes)
      wait(for: .written)
    case .receive(let condition): wait(for: .received(condition))
    case .set(let setting): set(setting)
    case .wait(let duration):
      let id = nextWaitID()
      let timer = loop.schedule(at: .after(duration)) { [weak self] in self?.resumeScript(id) }
      wait(for: .resumption(id: id, timer: timer))
    case .waitFor(let gate):
      let id = nextWaitID()
      wait(for: .resumption(id: id, timer: nil))
      gate.opened.whenComplete { [resume] _ in resume(id) }
    case .endStream:
      endWriteSide()
      wait(for: .written)
    case .reset:
      socket.resetOnClose()
      end(.closedByServer)
    case .close: end(.closedByServer)
    case .finish: finish()
    case .choose(let choose):
      if let request { cursor.insert(choose(index, request).steps) }
    case .group: break
    }
  }

  private func nextWaitID() -> UInt64 {
    lastWaitID += 1
    return lastWaitID
  }

  private func set(_ setting: TestServer.Setting) {
    switch setting {
    case .reads(let reads): settings.reads = reads
    case .answersPings(let answers): settings.answersPings = answers
    case .fallback(let fallback):
      settings.fallback = fallback.kind
      repeatedFrame = nil
      guard case .fireHose(let message, let count) = fallback.kind, count != 0 else { return }
      repeatedFrame = TestServer.RepeatedFrame(of: compressor.selfContainedFrame(of: message), count: count)
    }
  }

  /// Sends the answer to the opening request; one with 101 opens the connection.
  private func send(_ answer: TestServer.Answer) {
    enqueue(answer.bytes)
    guard answer.status == 101, case .serving = phase, !protocolState.isOpen else { return }
    record(.opened)
    let agreement = agreement(in: answer)
    if let agreement { compressor.begin(agreement) }
    protocolState.accept(deflate: agreement)
    // A client may not send frames before it has the answer (RFC 6455 §4.1), but a test may.
    var early = unparsed
    unparsed = []
    early.withUnsafeMutableBytes { receiveFrames($0) }
  }

  /// What the answer agrees to about compression; nil if it does not agree to it.
  private func agreement(in answer: TestServer.Answer) -> PermessageDeflate.Agreement? {
    let extensions = answer["Sec-WebSocket-Extensions"] ?? ""
    guard extensions.utf8.starts(with: PermessageDeflate.name.utf8) else { return nil }
    return request?.deflateAnswer(options.compression)?.agreement
  }
}
