internal import SidecarExecutor
internal import SidecarTransport
internal import SidecarProtocol

/// Reading the socket.
extension ServerConnection: ReadinessHandler {
  func descriptorIsReady(_ readiness: Readiness) {
    guard !hasEnded else { return }
    if !readiness.isDisjoint(with: [.failed, .hungUp]), !wantsToRead {
      // Both halves of the stream are over. The poller would report that for ever.
      return readToTheEnd()
    }
    if readiness.contains(.peerEnded), !wantsToRead, readSide == .open {
      readSide = .peerEnded
      recordEnding(.endOfStream)
    }
    if !readiness.isDisjoint(with: [.readable, .failed, .hungUp]) { readAvailable() }
    pump()
  }

  private var wantsToRead: Bool {
    guard settings.reads, groups.stallDepth == 0, readSide != .ended else { return false }
    switch phase {
    case .serving where !protocolState.isOpen: return unparsed.count < ServerConnection.highWatermark
    // A script decides when to stop reading, but its backlog is bounded.
    case .serving where !script.isOver: return backlog.byteCount < options.maximumMessageSize
    // A client that does not read is not read from.
    case .serving: return unsent.count < ServerConnection.highWatermark
    case .finishing: return true
    case .ended: return false
    }
  }

  /// Tells the poller what the connection waits for.
  func updateInterest() {
    guard let registration else { return }
    var interest: Readiness = []
    if wantsToRead {
      interest.insert(.readable)
    } else if readSide == .open {
      interest.insert(.peerEnded)
    }
    if wantsToWrite { interest.insert(.writable) }
    loop.update(registration, interest: interest)
  }

  private func readAvailable() {
    for _ in 0..<ServerConnection.readsPerTurn {
      guard wantsToRead else { return }
      let readBuffer = loop.readBuffer
      switch socket.read(into: readBuffer) {
      case .bytes(let count):
        receive(UnsafeMutableRawBufferPointer(rebasing: readBuffer[..<count]))
        // A read that did not fill the buffer has emptied the socket.
        if count < readBuffer.count { return }
      case .wouldBlock: return
      case .endOfStream, .truncated: return inputEnded()
      case .failed: return end(.reset)
      }
    }
  }

  /// Reads what the kernel still holds, at most a socket buffer, and ends the connection.
  private func readToTheEnd() {
    while true {
      let readBuffer = loop.readBuffer
      switch socket.read(into: readBuffer) {
      case .bytes(let count): receive(UnsafeMutableRawBufferPointer(rebasing: readBuffer[..<count]))
      case .wouldBlock, .endOfStream, .truncated: return end(.endOfStream)
      case .failed: return end(.reset)
      }
    }
  }

  private func receive(_ bytes: UnsafeMutableRawBufferPointer) {
    record(.bytesReceived(bytes.count))
    if protocolState.isOpen {
      receiveFrames(bytes)
    } else if !script.isOver {
      unparsed += bytes
    }
  }

  /// Parses the opening request from the input so far (RFC 6455 §4.2.1).
  func parseRequest() {
    var bytes = unparsed
    unparsed = bytes.withUnsafeMutableBytes { bytes in
      guard var input = ReadCursor(bytes) else { return [] }
      if let event = protocolState.receive(&input, into: &sink) { handle(event) }
      return Array(input.remaining)
    }
  }

  /// Parses frames, and records bytes that follow the client's Close frame.
  func receiveFrames(_ bytes: UnsafeMutableRawBufferPointer) {
    let count = tracker.follow(UnsafeRawBufferPointer(bytes))
    for frame in tracker.takeFrames() { record(.frame(frame)) }
    if count < bytes.count { record(.bytesAfterClose(Array(bytes[count...]))) }
    protocolState.automaticReplies = automaticReplies
    guard var input = ReadCursor(UnsafeMutableRawBufferPointer(rebasing: bytes[..<count])) else { return }
    while true {
      let event = protocolState.receive(&input, into: &sink)
      for message in sink.takeMessages() { handle(message) }
      guard let event else { return }
      handle(event)
    }
  }

  private func inputEnded() {
    readSide = .ended
    recordEnding(.endOfStream)
    if isFinishing, unsent.isEmpty { return end(.endOfStream) }
    // A script goes on unless it waits for the client: the server's half of the stream is still open.
    if script.isOver { answerEndOfInput() }
  }
}
