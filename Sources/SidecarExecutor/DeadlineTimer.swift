internal import Dispatch

/// Runs an action at a deadline, off every thread that user code could hold.
///
/// The action must not block, nor run code of the application's: one worker serves all timers of the process, one after
/// the other. Cancelled, or dropped, a timer lets go of its action at once instead of keeping it until the deadline.
@usableFromInline
package final class DeadlineTimer: Sendable {
  private let timer: TimerID?

  /// Arms the timer; ``Deadline/never`` arms nothing. A deadline that has passed runs the action soon, elsewhere.
  @usableFromInline
  package init(_ deadline: Deadline, _ action: @escaping @Sendable () -> Void) {
    timer = deadline.instant.map { Deadlines.shared.schedule(at: $0, action) }
  }

  deinit {
    cancel()
  }

  /// Disarms the timer; harmless when it has run or was cancelled.
  @usableFromInline
  package func cancel() {
    if let timer { Deadlines.shared.cancel(timer) }
  }
}

/// The deadlines of the process, and the one Dispatch timer that comes at the earliest of them.
///
/// A timer of Dispatch's for each would cost two wake-ups of its manager's thread, even if it is cancelled in time, which
/// is what nearly always becomes of a deadline. Here a wait that ends in time costs neither: the Dispatch timer is only
/// ever set to an earlier time, and one that finds nothing due is set to the next.
///
/// Where there is none, it is set to a day that hardly comes: Dispatch has a descriptor for as long as a timer is set. So one
/// stays open from the first deadline on, and does not come and go with what was cancelled long ago.
private final class Deadlines: Sendable {
  static let shared = Deadlines()

  private static let hardlyEver = DispatchTimeInterval.seconds(10 * 365 * 86_400)

  private struct State: ~Copyable {
    var timers = TimerQueue()
    /// When the Dispatch timer comes, if it is set.
    var armed: ContinuousClock.Instant?
  }

  private let state = Locked(State())
  // Safe to share: Dispatch's objects are.
  private nonisolated(unsafe) let source: any DispatchSourceTimer

  private init() {
    // A queue of its own, in the highest class of service: its worker is there although tasks that block have taken all
    // others.
    source = DispatchSource.makeTimerSource(queue: DispatchQueue(label: "sidecar.deadlines", qos: .userInteractive))
    source.setEventHandler { self.fire() }
    source.schedule(deadline: .now() + Deadlines.hardlyEver)
    source.activate()
  }

  func schedule(at due: ContinuousClock.Instant, _ action: @escaping @Sendable () -> Void) -> TimerID {
    state.withLock { state in
      defer { arm(&state) }
      return state.timers.schedule(at: due, action)
    }
  }

  func cancel(_ timer: TimerID) {
    // Let go of outside of the lock: what it holds may have timers of its own to cancel.
    let action = state.withLock { $0.timers.cancel(timer) }
    _ = consume action
  }

  private func fire() {
    var due: [() -> Void] = []
    state.withLock { state in
      let now = ContinuousClock.now
      while let action = state.timers.popDue(at: now) { due.append(action) }
      state.armed = nil
      arm(&state)
    }
    for action in due { action() }
  }

  /// Sets the Dispatch timer to the earliest deadline, unless it comes before that anyway. Under the lock, so that an
  /// earlier time is not overwritten by a later one.
  private func arm(_ state: inout State) {
    guard let due = state.timers.nextDue() else {
      if state.armed == nil { source.schedule(deadline: .now() + Deadlines.hardlyEver) }
      return
    }
    if let armed = state.armed, armed <= due { return }
    state.armed = due
    source.schedule(deadline: Deadline(due).dispatchTime, leeway: .milliseconds(1))
  }
}
