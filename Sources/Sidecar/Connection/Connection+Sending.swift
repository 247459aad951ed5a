internal import SidecarExecutor
internal import SidecarProtocol
internal import SidecarTransport

/// Writing what the send queue holds.
extension Connection {
  /// How much is written before other connections on the thread have their turn, in bytes.
  private static let writtenPerTurn = 1 << 20

  func sendPing(_ payload: WebSocketPayload) {
    guard sendControl(.ping, payload) else { return shared.pings.cannotSend(payload) }
    flush()
  }

  /// - Returns: False if no control frame may be sent any more.
  @discardableResult
  func sendControl(_ opcode: Opcode, _ payload: WebSocketPayload) -> Bool {
    switch shared.sendQueue.sendControl(opcode, payload) {
    case .success(let wasQueued): return wasQueued
    case .failure(let error):
      // Without masking keys, nothing can be sent any more: the connection is of no use.
      streamEnded(.byUs, because: WebSocketError(error))
      return false
    }
  }

  /// Writes what waits, as much as the kernel takes.
  func flush() {
    if case .ending = phase { return closeStreamWhenUnowned() }
    guard case .connected(let stream) = phase, !reader.hasHungUp else { return }
    let wasBlocked = !unsent.isEmpty
    var budget = Connection.writtenPerTurn
    while true {
      if unsent.isEmpty {
        unsent.removeAll(keepingCapacityUpTo: OutgoingFrames.keptCapacity)
        guard shared.sendQueue.takeNext(&unsent) else { break }
      }
      guard budget > 0 else {
        post { $0.flush() }
        break
      }
      let result = stream.write(unsent.bytes)
      guard case .bytes(let count) = result else {
        if case .failed(let error) = result { return writingFailed(error) }
        break
      }
      unsent.consume(count)
      thread.loop.expectAnswer()
      budget -= count
      shared.sendQueue.didWrite(count)
    }
    if wasBlocked || !unsent.isEmpty { updateInterest() }
    resumeReadingIfSendQueueHasRoom()
  }

  /// The peer takes no more. What it sent before may say why, so that is read first, as room appears.
  private func writingFailed(_ error: SystemError) {
    if streamError == nil { streamError = error }
    unsent.removeAll()
    reader.hasHungUp = true
    stopPolling()
    shared.releaseSenders(.connectionLost(streamError))
    // Posted: a read turn may have called this.
    if reader.pause == nil { postTurn() } else { resumeReadingIfSendQueueHasRoom() }
  }
}
