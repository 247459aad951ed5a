internal import SidecarExecutor
internal import SidecarTransport
internal import SidecarProtocol

/// Taking the steps of the script.
extension ServerConnection {
  /// Adds steps to the script.
  func perform(_ steps: [TestServer.Step]) {
    guard !hasEnded else { return }
    scriptsTaken += 1
    if case .finishing = phase {
      see(.script(.cutShort(at: steps.first?.description ?? "nothing"), taken: scriptsTaken))
    } else {
      finishFrameOfStream()
      cursor.append(steps)
      scriptIsRunning = true
    }
    pump()
  }

  /// Makes the script's next move; returns whether there was one that could be made.
  func advanceScript() -> Bool {
    guard scriptIsRunning else { return false }
    if let awaiting {
      switch outcome(of: awaiting) {
      case .notYet: return false
      case .came: self.awaiting = nil
      case .cannotCome:
        stopScript(at: awaiting.step)
        goOnWithoutScript()
        return true
      }
    }
    guard let move = cursor.advance(now: .now) else {
      stopScript(at: nil)
      goOnWithoutScript()
      return true
    }
    switch move {
    case .take(let step): take(step)
    case .enter(let group): enter(group)
    case .leave(let group): leave(group)
    }
    return true
  }

  /// Forgets what is left of the script, and tells how it ended; without a step, it ended in order if nothing was left.
  func stopScript(at step: String?) {
    guard scriptIsRunning else { return }
    let interrupted = step ?? awaiting?.step ?? (cursor.hasSteps ? "a later step" : nil)
    cancelWait()
    cursor.removeAll()
    scriptIsRunning = false
    corkDepth = 0
    stalls = 0
    pacing = []
    see(.script(interrupted.map { .cutShort(at: $0) } ?? .finished, taken: scriptsTaken))
  }

  private func cancelWait() {
    awaiting = nil
    loop.cancel(waitTimer)
    waitTimer = nil
    waitID += 1
  }

  // MARK: Groups

  private func enter(_ group: TestServer.Group) {
    switch group {
    case .together: corkDepth += 1
    case .dribble(let chunk, let interval): pacing.append((chunk, interval))
    case .stalled: stalls += 1
    case .once, .times, .lasting: break
    }
  }

  private func leave(_ group: TestServer.Group) {
    switch group {
    case .together:
      corkDepth -= 1
      awaiting = PendingWait(event: .written, step: "together")
    case .dribble: pacing.removeLast()
    case .stalled: stalls -= 1
    case .once, .times, .lasting: break
    }
  }

  // MARK: Steps

  private func take(_ step: TestServer.Step) {
    func wait(_ event: PendingWait.Event) {
      awaiting = PendingWait(event: event, step: step.description)
      waitID += 1
    }
    switch step.action {
    case .write(let bytes):
      write(bytes)
      wait(.written)
    case .message(let message, let fragmentSize):
      write(message, fragmentSize: fragmentSize)
      wait(.written)
    case .frame(let frame):
      write(frame.bytes)
      contextIsStale = contextIsStale || frame.rsv1
      wait(.written)
    case .answer(let answer):
      guard let request else { return }
      send(answer(request, options))
      wait(.written)
    case .sendClose(let payload, let bytes):
      // The script writes the frame itself, perhaps a wrong one; the protocol only learns that it is closing.
      _ = protocolState.close(payload)
      endStreamOfFrames()
      write(bytes)
      hasSentClose = true
      wait(.written)
    case .receive(let awaited): wait(.received(awaited))
    case .set(let setting): set(setting)
    case .wait(let duration):
      wait(.resumption)
      let id = waitID
      waitTimer = loop.schedule(at: .after(duration)) { [weak self] in self?.resumeScript(id) }
    case .waitFor(let gate):
      wait(.resumption)
      gate.opened.whenComplete { [resume, waitID] _ in resume(waitID) }
    case .endStream:
      mustEndWriting = true
      wait(.written)
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

  private func set(_ setting: TestServer.Setting) {
    switch setting {
    case .reads(let reads): isReading = reads
    case .answersPings(let answers): answersPings = answers
    case .continuation(let continuation):
      continuationKind = continuation.kind
      stream = nil
      guard case .fireHose(let message, let count) = continuation.kind, count != 0 else { return }
      stream = TestServer.RepeatedFrame(of: frameForRepetition(message), count: count)
    }
  }

  private func send(_ answer: TestServer.Answer) {
    write(answer.bytes)
    guard answer.status == 101, case .opening = phase else { return }
    phase = .open
    wasOpen = true
    see(.opened)
    agreeOnCompression(answer)
    protocolState.accept(deflate: agreement)
    // A client may not send frames before it has the answer (RFC 6455 §4.1), but a test may.
    var early = unparsed
    unparsed = []
    early.withUnsafeMutableBytes { receiveFrames($0) }
  }

  /// The wait of this number is over, if it still is the one that the script is in.
  func resumeScript(_ id: UInt64) {
    guard id == waitID, case .resumption = awaiting?.event else { return }
    waitTimer = nil
    awaiting = nil
    pump()
  }
}
