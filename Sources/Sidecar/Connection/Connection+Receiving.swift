internal import SidecarExecutor
internal import SidecarProtocol
internal import SidecarTransport

/// Receiving: read turns, each bounded in bytes and in work, so that the connections on a thread share it fairly.
extension Connection: ReadinessHandler {
  /// How many times the read buffer is filled in one turn: 768 KiB, a quarter of a millisecond.
  private static let readsPerTurn = 12
  /// What one turn delivers at most; one read may exceed it. More messages fall out of the cache before they are
  /// received. What comes out of compressed messages is bounded too, as work and as memory.
  private static let deliveredPerTurn = (messages: 8192, bytes: 768 << 10)

  nonisolated func descriptorIsReady(_ readiness: Readiness) {
    onThread(readiness) { connection, readiness in connection.serve(readiness) }
  }

  private func serve(_ readiness: Readiness) {
    let hasHungUp = !readiness.isDisjoint(with: [.failed, .hungUp])
    if hasHungUp, reader.pause != nil { return rememberHangUp() }
    if hasHungUp || readiness.contains(.readable) { readTurn() }
    if readiness.contains(.writable) { flush() }
  }

  // MARK: Turns

  /// Reads what has arrived, within one turn, and delivers it together: a receiver is resumed once a turn, not once a
  /// read.
  func readTurn() {
    guard case .connected(let stream) = phase else { return }
    protocolState.inflateBudget = min(Connection.deliveredPerTurn.bytes, configuration.inboundCapacity)
    var lastResult: IOResult?
    if parsePendingInput() {
      for _ in 0..<Connection.readsPerTurn where !turnIsComplete {
        guard case .connected = phase else { return }
        lastResult = readOnce(from: stream)
        if case .wouldBlock = lastResult { lastResult = readAgain(from: stream) }
        guard case .bytes(let count) = lastResult else { break }
        readSpin.hasRead(count)
        // A read that does not fill the buffer has emptied the socket. After large reads more may have arrived
        // meanwhile.
        if !readSpin.isFlowing { break }
      }
    }
    deliverMessages()
    flushPongs()
    guard case .connected = phase else { return }
    switch lastResult {
    case .endOfStream, .truncated: return streamEnded(.byPeer)
    case .failed(let error): return streamEnded(.byPeer, because: .connectionLost(streamError ?? error))
    case .wouldBlock where reader.hasHungUp: return streamEnded(.byPeer)
    case .bytes, .wouldBlock, nil: break
    }
    if mustContinueUnpolled(stream) { postTurn() }
  }

  func postTurn() {
    guard !reader.turnIsPosted else { return }
    reader.turnIsPosted = true
    post { connection in
      connection.reader.turnIsPosted = false
      if connection.reader.pause == nil { connection.readTurn() }
    }
  }

  private var turnIsComplete: Bool {
    reader.pendingInput != nil || inboxSink.count >= Connection.deliveredPerTurn.messages
      || inboxSink.cost >= min(Connection.deliveredPerTurn.bytes, configuration.inboundCapacity)
  }

  /// Reads again from a socket that was empty, if the peer is likely to send more soon.
  private func readAgain(from stream: ByteStream) -> IOResult {
    var result = IOResult.wouldBlock
    readSpin.lookAgain {
      result = readOnce(from: stream)
      return result != .wouldBlock
    }
    return result
  }

  // MARK: One read

  /// Reads once and parses what came.
  ///
  /// The rest of a large message is read straight into the message's memory, everything else into the loop's buffer.
  private func readOnce(from stream: ByteStream) -> IOResult {
    let buffer = thread.loop.readBuffer
    if let target = protocolState.directReadTarget(minimum: buffer.count) {
      let result = stream.read(into: target)
      if case .bytes(let count) = result { receiveDirectly(count) }
      return result
    }
    let result = stream.read(into: buffer)
    guard case .bytes(let count) = result else { return result }
    shared.responseHint.bytesArrived()
    inboxSink.beginRead(of: count, in: buffer)
    let rest = parse(UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]))
    if let rest {
      inboxSink.suspendRead()
      thread.loop.detachReadBuffer()
      reader.pendingInput = ReadState.PendingInput(buffer: buffer, unparsed: rest)
    } else if inboxSink.endRead() {
      thread.loop.detachReadBuffer()
    }
    return result
  }

  /// Parses what an earlier turn left.
  ///
  /// - Returns: False if this turn is over as well.
  private func parsePendingInput() -> Bool {
    guard let pending = reader.pendingInput else { return true }
    if let rest = parse(pending.unparsed) {
      reader.pendingInput = ReadState.PendingInput(buffer: pending.buffer, unparsed: rest)
      return false
    }
    discardPendingInput()
    return true
  }

  /// Releases a read that is over. Its memory belongs to the sink, and to the messages in it.
  func discardPendingInput() {
    guard reader.pendingInput != nil else { return }
    reader.pendingInput = nil
    _ = inboxSink.endRead()
  }

  /// Parses bytes, and acts on what they say.
  ///
  /// - Returns: The bytes that are left for another turn; nil if there are none.
  private func parse(_ bytes: UnsafeMutableRawBufferPointer) -> UnsafeMutableRawBufferPointer? {
    guard var input = ReadCursor(bytes) else { return nil }
    while let event = nextEvent(&input) {
      if case .pause = event {
        if handler != nil, shared.sendQueue.isCongested { pauseReading(.sendQueueIsFull) }
        return input.remaining
      }
      handle(event)
      guard case .connected = phase else { return nil }
      if input.isAtEnd { break }
    }
    return nil
  }

  private func nextEvent(_ input: inout ReadCursor) -> WebSocketConnection.Event? {
    guard let handler else { return protocolState.receive(&input, into: &inboxSink) }
    guard var sink = handlerSink(handler) else { return nil }
    shared.sendQueue.setHandlerRuns(true)
    let event = protocolState.receive(&input, into: &sink)
    shared.sendQueue.setHandlerRuns(false)
    guard case .pause? = event, shared.handlerGate.isStopped else { return event }
    // A shutdown has been requested, before this call or during it. The peer's Close frame must still be found.
    var discarding = DiscardingSink()
    return protocolState.receive(&input, into: &discarding)
  }

  /// Takes `count` bytes of a message that were read into the message's memory.
  private func receiveDirectly(_ count: Int) {
    shared.responseHint.bytesArrived()
    let event: WebSocketConnection.Event?
    if let handler {
      guard var sink = handlerSink(handler) else { return }
      shared.sendQueue.setHandlerRuns(true)
      defer { shared.sendQueue.setHandlerRuns(false) }
      event = protocolState.didReadDirectly(count: count, into: &sink)
    } else {
      event = protocolState.didReadDirectly(count: count, into: &inboxSink)
    }
    if let event { handle(event) }
  }

  private func handlerSink(_ handler: @escaping MessageHandler) -> HandlerSink? {
    // Without a sidecar, its last reference has been dropped, and its shutdown has been requested.
    guard let sidecar else { return nil }
    return HandlerSink(
      sidecar: sidecar, handler: handler, gate: shared.handlerGate)
  }

  // MARK: Events

  // Not inlined: its variables would be on the stack during every read turn, a page more for each thread.
  @inline(never)
  private func handle(_ event: WebSocketConnection.Event) {
    switch event {
    case .opened(let response): opened(response)
    case .handshakeFailed: streamEnded(.byPeer)
    case .ping(let payload, let answer): if answer { sendPong(payload) }
    case .pong(let payload): shared.pings.receive(payload)
    case .close(_, let action), .violation(_, let action):
      // Messages that came before are delivered before the end.
      deliverMessages()
      carryOut(action)
    // A client receives no requests, and a pause ends the parsing.
    case .requested, .pause: break
    }
  }

  /// Hands the messages of the turn over to the inbox.
  private func deliverMessages() {
    guard inboxSink.count > 0 else { return }
    if inboxSink.deliver(to: shared.inbox) { pauseReading(.inboxIsFull) }
  }
}
