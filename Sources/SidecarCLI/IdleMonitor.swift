internal import Sidecar

/// Tracks since when the receiver has been waiting for a message.
///
/// The receiver is busy while it writes: more messages may be queued while a slow reader holds it up.
final class IdleMonitor: Sendable {
  private struct State {
    /// Nil while the receiver is busy.
    var idleSince: ContinuousClock.Instant?
    /// Completed when the receiver becomes idle.
    var waiter: Promise<Void>?
  }

  private let state = Locked(State())

  /// Records that the receiver has something to do.
  func becameBusy() {
    state.withLock { $0.idleSince = nil }
  }

  /// Records that the receiver starts to wait for a message.
  func becameIdle() {
    let waiter = state.withLock { state in
      state.idleSince = .now
      defer { state.waiter = nil }
      return state.waiter
    }
    waiter?.complete(())
  }

  /// Returns whether the receiver has been idle for at least `duration`.
  func isIdle(for duration: Duration) -> Bool {
    state.withLock { state in state.idleSince.map { $0 + duration <= .now } ?? false }
  }

  /// Blocks the calling thread until the receiver has been idle for `duration`, counted from now at the earliest.
  @available(*, noasync)
  func waitUntilIdle(for duration: Duration) {
    let start = ContinuousClock.now
    while true {
      let idleSince = waitUntilIdle()
      let due = max(idleSince, start) + duration
      if due <= .now { return }
      blockingPause(for: due - .now)
      if state.withLock({ $0.idleSince == idleSince }) { return }
    }
  }

  /// Blocks until the receiver is idle; returns since when it has been.
  @available(*, noasync)
  private func waitUntilIdle() -> ContinuousClock.Instant {
    while true {
      let waiter = Promise<Void>()
      let idleSince: ContinuousClock.Instant? = state.withLock { state in
        if state.idleSince == nil { state.waiter = waiter }
        return state.idleSince
      }
      if let idleSince { return idleSince }
      _ = waiter.wait(until: .never)
    }
  }
}
