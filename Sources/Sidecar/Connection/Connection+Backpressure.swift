internal import SidecarExecutor
internal import SidecarProtocol
internal import SidecarTransport

/// Back-pressure: when reading pauses, because nobody receives or because the send queue is full, and when it resumes.
extension Connection {
  /// Resumes reading, because there is room, or because nothing that arrives counts any more.
  func resumeReading() {
    guard reader.pause != nil, case .connected = phase else { return }
    reader.pause = nil
    updateInterest()
    // The poller will not report bytes already read, nor a hang-up it has reported.
    if reader.pendingInput != nil || reader.hasHungUp { postTurn() }
  }

  func pauseReading(_ reason: ReadState.Pause) {
    guard reader.pause == nil else { return }
    reader.pause = reason
    updateInterest()
  }

  /// Resumes reading if it was paused because of the send queue, and that is below its watermark again.
  func resumeReadingIfSendQueueHasRoom() {
    if case .sendQueueIsFull = reader.pause, !shared.sendQueue.isCongested { resumeReading() }
  }

  func updateInterest() {
    guard let registration, case .connected(let stream) = phase else { return }
    thread.loop.update(
      registration, interest: stream.interest(reading: reader.pause == nil, writing: !unsent.isEmpty))
  }

  /// The peer hung up while reading was paused: senders fail now, receivers after what can still be read.
  func rememberHangUp() {
    reader.hasHungUp = true
    stopPolling()
    if streamError == nil, case .connected(let stream) = phase { streamError = stream.takePendingError() }
    shared.releaseSenders(.connectionLost(streamError))
    // Normally a flush does this, but none will come.
    resumeReadingIfSendQueueHasRoom()
  }

  /// True if there is more to read now that the poller will not report.
  func mustContinueUnpolled(_ stream: ByteStream) -> Bool {
    guard reader.pause == nil else { return false }
    return reader.pendingInput != nil || reader.hasHungUp || stream.hasBufferedInput
  }
}
