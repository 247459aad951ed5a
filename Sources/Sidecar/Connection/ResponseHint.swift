internal import SidecarExecutor
internal import Synchronization

/// Tells the sidecar's thread when a reply is outstanding and a receiver is waiting; the loop then busy-polls briefly.
///
/// A reply is outstanding when something was sent since bytes last arrived. The sender and the receiver may come in
/// either order. Only a hint: it may come late or be missed, and nothing but latency depends on it.
final class ResponseHint: Sendable {
  private let thread: SidecarThread?
  private let bytesHaveArrived = Atomic(true)
  private let receiverWaits = Atomic(false)

  /// Makes a hint that tells `thread`.
  init(of thread: SidecarThread? = nil) {
    self.thread = thread
  }

  // MARK: Senders

  /// Marks a reply as outstanding.
  ///
  /// - Returns: True if this is the first message since bytes last arrived.
  func markSent() -> Bool { bytesHaveArrived.exchange(false, ordering: .relaxed) }

  /// Tells the thread about a message that a sender has written itself, if a receiver waits.
  func didWriteInline() {
    if receiverIsWaiting { thread?.expectAnswer() }
  }

  // MARK: Receivers

  /// True while a receiver waits for a message.
  var receiverIsWaiting: Bool { receiverWaits.load(ordering: .relaxed) }

  func setReceiverIsWaiting(_ value: Bool) { receiverWaits.store(value, ordering: .relaxed) }

  /// Tells the thread that a receiver is about to wait, if a reply is outstanding.
  func receiverWillWait() {
    if !bytesHaveArrived.load(ordering: .relaxed) { thread?.expectAnswer() }
  }

  // MARK: The sidecar's thread

  /// Marks the reply as received: bytes have arrived.
  func bytesArrived() { bytesHaveArrived.store(true, ordering: .relaxed) }
}
