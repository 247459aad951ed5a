internal import Glibc
internal import SidecarExecutor
internal import SidecarTransport
internal import SidecarProtocol

/// Reading the socket.
extension ServerConnection: ReadinessHandler {
  func descriptorIsReady(_ readiness: Readiness) {
    guard !hasEnded else { return }
    if !readiness.isDisjoint(with: [.failed, .hungUp]), !wantsToRead {
      // The stream is over in both directions, which the poller would report for ever.
      return readToTheEnd()
    }
    if readiness.contains(.peerEnded), !wantsToRead { seePeerEnd() }
    if !readiness.isDisjoint(with: [.readable, .failed, .hungUp]) { readAvailable() }
    pump()
  }

  private var wantsToRead: Bool {
    guard isReading, stalls == 0, !inputHasEnded else { return false }
    switch phase {
    case .opening: return unparsed.count < ServerConnection.highWatermark
    // A script decides itself when it stops reading, but does not keep messages without a bound.
    case .open where scriptIsRunning: return receiveBacklog.byteCount < options.maximumMessageSize
    // A client that does not read is not read from either.
    case .open: return unsent.count < ServerConnection.highWatermark
    case .finishing: return true
    case .ended: return false
    }
  }

  /// Tells the poller what the connection is waiting for.
  func updateInterest() {
    guard let registration else { return }
    var interest: Readiness = []
    if wantsToRead {
      interest.insert(.readable)
    } else if !inputHasEnded, !sawPeerEnd {
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
        // A read that did not fill the buffer emptied the socket.
        if count < readBuffer.count { return }
      case .wouldBlock: return
      case .endOfStream, .truncated: return inputEnded()
      case .failed(let error): return end(TestServer.Ending.Stream(error))
      }
    }
  }

  /// Reads what the kernel still holds, at most a socket's buffer, and ends the connection.
  private func readToTheEnd() {
    while true {
      let readBuffer = loop.readBuffer
      switch socket.read(into: readBuffer) {
      case .bytes(let count): receive(UnsafeMutableRawBufferPointer(rebasing: readBuffer[..<count]))
      case .wouldBlock, .endOfStream, .truncated: return end(.endOfStream)
      case .failed(let error): return end(TestServer.Ending.Stream(error))
      }
    }
  }

  private func receive(_ bytes: UnsafeMutableRawBufferPointer) {
    see(.bytesReceived(bytes.count))
    switch phase {
    case .opening: if scriptIsRunning { unparsed += bytes }
    case .open, .finishing: if wasOpen { receiveFrames(bytes) }
    case .ended: break
    }
  }

  /// Takes bytes of the conversation, and what comes behind it.
  func receiveFrames(_ bytes: UnsafeMutableRawBufferPointer) {
    let count = tracker.follow(UnsafeRawBufferPointer(bytes))
    for frame in tracker.takeFrames() { see(.frame(frame)) }
    if count < bytes.count { see(.bytesAfterClose(Array(bytes[count...]))) }
    protocolState.automaticReplies = automaticReplies
    guard var input = ReadCursor(UnsafeMutableRawBufferPointer(rebasing: bytes[..<count])) else { return }
    while true {
      let event = protocolState.receive(&input, into: &sink)
      for message in sink.takeMessages() { handle(message) }
      guard let event else { return }
      handle(event)
    }
  }

  private func seePeerEnd() {
    sawPeerEnd = true
    seeEnding(.endOfStream)
  }

  private func inputEnded() {
    inputHasEnded = true
    seePeerEnd()
    if case .finishing = phase, unsent.isEmpty { return end(.endOfStream) }
    // The script goes on, if it is not waiting for the client: the other half of the stream is still there.
    if !scriptIsRunning { answerEndOfInput() }
  }
}

extension TestServer.Ending.Stream {
  /// A read or a write that failed: the client has gone, one way or another.
  init(_ error: SystemError) {
    self = .reset
  }
}
