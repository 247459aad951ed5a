internal import SidecarExecutor
internal import SidecarTransport
internal import SidecarProtocol

/// Reading and writing the socket.
extension Connection: ReadinessHandler {
  nonisolated func descriptorIsReady(_ readiness: Readiness) {
    onThread(readiness) { connection, readiness in connection.serve(readiness) }
  }

  private func serve(_ readiness: Readiness) {
    if !readiness.isDisjoint(with: [.failed, .hungUp]), readingIsPaused {
      // The stream is over in both directions, and only what the kernel still holds can be read. It is delivered
      // whatever the inbox's capacity: the poller would report this state for ever, and senders want to know.
      readingIsPaused = false
      readToTheEnd()
      return
    }
    if !readiness.isDisjoint(with: [.readable, .failed, .hungUp]) { readAvailable() }
    if readiness.contains(.writable) { flush() }
  }

  private func updateInterest() {
    guard let registration else { return }
    var interest: Readiness = []
    if !readingIsPaused { interest.insert(.readable) }
    if !unsent.isEmpty { interest.insert(.writable) }
    thread.loop.update(registration, interest: interest)
  }

  // MARK: Reading

  /// Reads what has arrived, as far as it is this connection's turn, and delivers it together: whoever waits for a message
  /// is woken once a turn and not once a read.
  private func readAvailable() {
    var last = IOResult.wouldBlock
    for _ in 0..<Connection.readsPerTurn where !hasEnoughToDeliver {
      guard let socket, registration != nil else { break }
      last = readOnce(from: socket)
      if case .wouldBlock = last { last = lookAgain(socket) }
      guard case .bytes(let count) = last else { break }
      readSpin.hasRead(count)
      // A read that does not fill the buffer has emptied the socket. But while much was copied, more may have come.
      if !readSpin.isFlowing { break }
    }
    deliver()
    switch last {
    case .bytes, .wouldBlock: break
    case .endOfStream, .truncated: streamEnded(error: nil)
    case .failed(let error): streamEnded(error: error)
    }
  }

  /// Reads what the peer is about to send, if that is likely to be soon: the more is delivered at once, the less often threads
  /// change. Nothing but an empty socket is looked at twice, so nothing can have changed in between.
  private func lookAgain(_ socket: StreamSocket) -> IOResult {
    var result = IOResult.wouldBlock
    readSpin.lookAgain {
      result = readOnce(from: socket)
      return result != .wouldBlock
    }
    return result
  }

  /// Whether the turn is over. Control frames end it: they are acted on at once, and Pongs that nobody asked for do not
  /// pile up.
  private var hasEnoughToDeliver: Bool {
    inboxSink.hasControl || inboxSink.count >= Connection.deliveredAtOnce.messages
      || inboxSink.cost >= min(Connection.deliveredAtOnce.bytes, configuration.inboundCapacity)
  }

  /// Reads until the stream ends or nothing is left in the kernel. At most the socket's receive buffer.
  private func readToTheEnd() {
    while let socket, registration != nil {
      let result = readOnce(from: socket)
      deliver()
      switch result {
      case .bytes: readingIsPaused = false
      case .wouldBlock, .endOfStream, .truncated: return streamEnded(error: streamError)
      case .failed(let error): return streamEnded(error: streamError ?? error)
      }
    }
  }

  /// Reads once, and takes what came.
  ///
  /// The rest of a large message is read straight to where it is put together, everything else into the loop's buffer.
  private func readOnce(from socket: StreamSocket) -> IOResult {
    let readBuffer = thread.loop.readBuffer
    if case .open = phase, let target = receiver.directReadTarget(minimum: readBuffer.count) {
      let result = socket.read(into: target)
      if case .bytes(let count) = result { receiveDirectly(count) }
      return result
    }
    let result = socket.read(into: readBuffer)
    if case .bytes(let count) = result {
      inboxSink.beginRead(of: count, into: readBuffer)
      receive(UnsafeMutableRawBufferPointer(rebasing: readBuffer[..<count]))
      if inboxSink.endRead() { thread.loop.detachReadBuffer() }
    }
    return result
  }

  /// Goes on reading, because a receiver has made room.
  func resumeReading() {
    guard readingIsPaused else { return }
    readingIsPaused = false
    updateInterest()
  }

  private func receive(_ bytes: UnsafeMutableRawBufferPointer) {
    var bytes = bytes
    if case .upgrading = phase {
      let consumed = receiveAnswer(UnsafeRawBufferPointer(bytes))
      // The server's first frames may come together with its answer.
      bytes = UnsafeMutableRawBufferPointer(rebasing: bytes[consumed...])
    }
    guard case .open = phase, !bytes.isEmpty else { return }
    places.responseHint.heardPeer()
    if handler == nil {
      receiver.receive(bytes, into: &inboxSink)
    } else {
      withHandlerSink { receiver, sink in receiver.receive(bytes, into: &sink) }
    }
  }

  /// Takes `count` bytes of a message that were read straight to their place.
  private func receiveDirectly(_ count: Int) {
    places.responseHint.heardPeer()
    if handler == nil {
      receiver.didReadDirectly(count: count, into: &inboxSink)
    } else {
      withHandlerSink { receiver, sink in receiver.didReadDirectly(count: count, into: &sink) }
    }
  }

  private func withHandlerSink(_ body: (inout MessageReceiver, inout HandlerSink) -> Void) {
    // Without a sidecar, its last reference has been dropped and the end is on its way.
    guard let handler, let sidecar else { return }
    var sink = HandlerSink(sidecar: sidecar, handler: handler, gate: places.gate)
    body(&receiver, &sink)
    act(on: sink.control)
  }

  /// Hands over what was read since the last time.
  private func deliver() {
    deliverMessages()
    if let control = inboxSink.takeControl() { act(on: control) }
  }

  private func deliverMessages() {
    guard inboxSink.count > 0 else { return }
    let mustPause = inboxSink.deliver(to: places.inbox)
    guard mustPause != readingIsPaused else { return }
    readingIsPaused = mustPause
    updateInterest()
  }

  private func act(on control: ControlEvents) {
    for pong in control.pongs { places.pings.receive(pong) }
    if let ping = control.ping {
      places.outbox.sendPong(ping)
      // Before a Close frame of ours the Pong is written with it. Alone, it might fail, and the end that came with the Ping would
      // be taken for a lost connection.
      if control.close == nil, control.violation == nil { flush() }
    }
    if let (code, reason) = control.close {
      noteCloseFromElsewhere()
      perform(closing.receiveClose(code, reason: reason))
    }
    if let violation = control.violation { perform(closing.fail(violation), because: violation) }
  }

  // MARK: Writing

  func sendPing(_ payload: WebSocketPayload) {
    payload.withUnsafeBytes { places.outbox.sendControl(.ping, $0) }
    flush()
  }

  /// Writes what waits, as far as the kernel takes it.
  func flush() {
    if case .ending = phase { return finishEnding() }
    guard let socket, registration != nil else { return }
    let wasBlocked = !unsent.isEmpty
    var budget = Connection.writtenPerTurn
    while true {
      if unsent.isEmpty {
        unsent.removeAll(keepingCapacityUpTo: Outbox.keptCapacity)
        guard places.outbox.takeTurn(&unsent) else { break }
      }
      guard budget > 0 else {
        post { $0.flush() }
        break
      }
      let result = socket.write(unsent.bytes)
      guard case .bytes(let count) = result else {
        if case .failed(let error) = result { return writingFailed(error) }
        break
      }
      unsent.consume(count)
      thread.loop.expectAnswer()
      budget -= count
      places.outbox.wrote(count)
    }
    if wasBlocked || !unsent.isEmpty { updateInterest() }
  }

  /// The peer does not take any more. What it sent before may say why, so that is read first.
  private func writingFailed(_ error: SystemError) {
    streamError = error
    readToTheEnd()
  }
}
