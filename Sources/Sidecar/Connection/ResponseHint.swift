internal import SidecarExecutor
internal import Synchronization

/// Knows whether the peer has been asked something that somebody now waits for, and lets the sidecar thread watch for the
/// answer: it comes to whoever waits for it without a thread having to be put to sleep.
///
/// To ask is to send when nothing has been sent since the peer was last heard; to wait is to find no message. It takes both,
/// in any order. Only hints: they may come too late or miss each other, and nothing depends on them but time.
final class ResponseHint: Sendable {
  private let thread: SidecarThread?
  private let hasHeardPeer = Atomic(true)
  private let awaited = Atomic(false)

  /// Makes a hint that tells `thread`.
  init(of thread: SidecarThread? = nil) {
    self.thread = thread
  }

  // MARK: Senders

  /// Takes note that something is about to be sent; returns whether it is the first since the peer was last heard.
  func ask() -> Bool { hasHeardPeer.exchange(false, ordering: .relaxed) }

  /// Takes note that a sender has written what it sent: the thread does not know that an answer will come.
  func hasAsked() {
    if isAwaited { thread?.expectAnswer() }
  }

  // MARK: Receivers

  /// Whether somebody waits for a message.
  var isAwaited: Bool { awaited.load(ordering: .relaxed) }

  /// Takes note of whether somebody does.
  func setAwaited(_ value: Bool) { awaited.store(value, ordering: .relaxed) }

  /// Takes note that a receiver is about to wait, and has nothing else to do.
  func receiverWaits() {
    if !hasHeardPeer.load(ordering: .relaxed) { thread?.expectAnswer() }
  }

  // MARK: The sidecar thread

  /// Takes note that the peer has sent something.
  func heardPeer() { hasHeardPeer.store(true, ordering: .relaxed) }
}
