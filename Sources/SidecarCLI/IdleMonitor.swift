internal import Sidecar

/// Knows whether the receiver is waiting for a message, and since when: whether the connection has gone quiet.
///
/// The receiver is not quiet while it writes: with a slow reader behind it, messages may still be queued.
final class IdleMonitor: Sendable {
  private struct State {
    /// Nil while the receiver has something to do.
    var idleSince: ContinuousClock.Instant?
    /// Told when it has nothing any more.
    var waiter: Promise<Void>?
  }

  private let state = Locked(State())

  /// The receiver has something to do.
  func becameBusy() {
    state.withLock { $0.idleSince = nil }
  }

  /// The receiver waits for a message from now on.
  func becameIdle() {
    let waiter = state.withLock { state in
      state.idleSince = .now
      defer { state.waiter = nil }
      return state.waiter
    }
    waiter?.complete(())
  }

  /// Whether the receiver has been idle for `duration`.
  func isQuiet(for duration: Duration) -> Bool {
    state.withLock { state in state.idleSince.map { $0 + duration <= .now } ?? false }
  }

  /// Suspends until the receiver has been idle for `duration`, counted from `start` at the earliest. Throws
  /// `CancellationError`.
  func quiet(for duration: Duration, after start: ContinuousClock.Instant) async throws {
    while true {
      let idleSince = try await idleSince()
      let moment = max(idleSince, start) + duration
      if moment <= .now { return }
      try await Task.sleep(until: moment, tolerance: .milliseconds(1), clock: .continuous)
      if state.withLock({ $0.idleSince == idleSince }) { return }
    }
  }

  private func idleSince() async throws -> ContinuousClock.Instant {
    while true {
      let waiter = Promise<Void>()
      let idleSince: ContinuousClock.Instant? = state.withLock { state in
        if state.idleSince == nil { state.waiter = waiter }
        return state.idleSince
      }
      if let idleSince { return idleSince }
      if case .cancelled = await waiter.value() { throw CancellationError() }
    }
  }
}
