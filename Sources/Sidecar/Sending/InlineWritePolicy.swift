internal import SidecarExecutor

/// Decides whether a sender that finds the queue empty writes its message itself.
///
/// A lone message is written by its sender: it pays no wake-up. In a burst the senders only queue, and the sidecar
/// thread writes many messages in one system call.
struct InlineWritePolicy {
  /// Two sends within this time, with nothing received between them, are a burst.
  static let burstGap = Duration.microseconds(50)

  private var lastSend = MonotonicInstant.now

  /// - Parameter isFirstSinceBytesArrived: True if the message is likely to be an answer, or a request.
  mutating func shouldWriteInline(isFirstSinceBytesArrived: Bool) -> Bool {
    if isFirstSinceBytesArrived { return true }
    let now = MonotonicInstant.now
    defer { lastSend = now }
    return lastSend.duration(to: now) > Self.burstGap
  }
}
