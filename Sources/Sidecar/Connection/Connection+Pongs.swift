internal import SidecarProtocol

/// Answering Pings. `WebSocketConnection` says which ones. `OutgoingFrames` keeps the latest for a peer that does not
/// read.
extension Connection {
  /// How many Pongs share a system call at most.
  private static let pongsPerFlush = 256

  /// Answers a Ping (RFC 6455 §5.5.2, §5.5.3). The Pong is written with others, at the end of the turn at the latest.
  func sendPong(_ payload: WebSocketPayload) {
    if unsent.isEmpty {
      sendControl(.pong, payload)
      unflushedPongs += 1
      // One turn can bring 400,000 Pings, and only writing the Pongs shows whether the peer still reads.
      if unflushedPongs == Connection.pongsPerFlush { flushPongs() }
    } else {
      shared.sendQueue.deferPong(payload)
    }
  }

  /// Writes the Pongs that the read turn has queued, if there are any.
  func flushPongs() {
    guard unflushedPongs > 0 else { return }
    unflushedPongs = 0
    flush()
  }
}
