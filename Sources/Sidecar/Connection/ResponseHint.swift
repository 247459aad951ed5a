internal import SidecarExecutor
internal import Synchronization

/// Tells the sidecar thread when a reply is outstanding and a receiver is waiting; the loop then busy-polls briefly.
///
/// A reply is outstanding when something was sent since the peer was last heard. The sender and the receiver may come
/// in either order. Only a hint: it may come late or be missed, and nothing but latency depends on it.
final class ResponseHint: Sendable {
  private let thread: SidecarThread?
  private let hasHeardPeer = Atomic(true)
  private let awaited = Atomic(false)

  /// Makes a hint that tells `thread`.
  init(of thread: SidecarThread? = nil) {
    self.thread = thread
  }

  // MARK: Senders

  /// Marks a reply as outstanding.
  ///
  /// - Returns: True if this is the first message since the peer was last heard.
  func markSent() -> Bool { hasHeardPeer.exchange(false, ordering: .relaxed) }

  /// Tells the thread about a message that a sender has written itself, if a receiver waits.
  func didWriteInline() {
    if isAwaited { thread?.expectAnswer() }
  }

  // MARK: Receivers

  /// True while a receiver waits for a message.
  var isAwaited: Bool { awaited.load(ordering: .relaxed) }

  func setAwaited(_ value: Bool) { awaited.store(value, ordering: .relaxed) }

  /// Tells the thread that a receiver is about to wait, if a reply is outstanding.
  func receiverWaits() {
    if !hasHeardPeer.load(ordering: .relaxed) { thread?.expectAnswer() }
  }

  // MARK: The sidecar thread

  /// Marks the reply as received.
  func heardPeer() { hasHeardPeer.store(true, ordering: .relaxed) }
}
