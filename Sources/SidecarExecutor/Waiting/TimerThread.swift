internal import CSidecarSystem
internal import Glibc

/// Runs an action at a deadline, off every thread that user code could hold.
///
/// The action must not block, nor run code of the application's: one thread serves all timers of the process, one after
/// the other. Cancelled, or dropped, a timer lets go of its action at once instead of keeping it until the deadline.
@usableFromInline
package final class DeadlineTimer: Sendable {
  private let timer: TimerID?

  /// Arms the timer; ``Deadline/never`` arms nothing. A deadline that has passed runs the action soon, elsewhere.
  @usableFromInline
  package init(_ deadline: Deadline, _ action: @escaping @Sendable () -> Void) {
    timer = deadline.instant.map { TimerThread.shared.schedule(at: $0, action) }
  }

  deinit {
    cancel()
  }

  /// Disarms the timer; harmless when it has run or was cancelled.
  @usableFromInline
  package func cancel() {
    if let timer { TimerThread.shared.cancel(timer) }
  }
}

/// The deadlines of the process, and the one thread that waits for the earliest of them.
///
/// Nearly all deadlines are cancelled, and cancelling costs nothing but the lock: the thread is woken only for a deadline
/// that is earlier than what it sleeps for. Timers of Dispatch's would each wake its manager's thread twice, and bring
/// workers and descriptors that come and go. This thread begins with the first deadline, and stays.
private final class TimerThread: Sendable {
  static let shared = TimerThread()

  private struct State: ~Copyable {
    var timers = TimerQueue()
    /// The thread sleeps, or is about to, until `wakesAt`, or for ever.
    var isAsleep = false
    var wakesAt: MonotonicInstant?
  }

  private let state = Locked(State())
  // Safe to share: it has a lock of its own.
  private nonisolated(unsafe) let alarm = csidecar_alarm_create()

  private init() {
    let context = Unmanaged.passRetained(self)
    var thread = pthread_t()
    if csidecar_thread_start(&thread, "sidecar-timers", timerThreadMain, context.toOpaque()) == 0 {
      pthread_detach(thread)
    } else {
      // The process has too many threads. Dispatch may still have one.
      context.release()
      BlockingWorkQueue.run { self.serve() }
    }
  }

  func schedule(at due: MonotonicInstant, _ action: @escaping @Sendable () -> Void) -> TimerID {
    let (timer, mustWake) = state.withLock { state in
      let timer = state.timers.schedule(at: due, action)
      guard state.isAsleep, state.wakesAt.map({ due < $0 }) ?? true else { return (timer, false) }
      state.wakesAt = due
      return (timer, true)
    }
    if mustWake { csidecar_alarm_wake(alarm) }
    return timer
  }

  func cancel(_ timer: TimerID) {
    // Let go of outside of the lock: what it holds may have timers of its own to cancel.
    let action = state.withLock { $0.timers.cancel(timer) }
    _ = consume action
  }

  fileprivate func serve() {
    while true {
      var due: [() -> Void] = []
      let next = state.withLock { state in
        let now = MonotonicInstant.now
        while let action = state.timers.popDue(at: now) { due.append(action) }
        state.isAsleep = due.isEmpty
        state.wakesAt = state.timers.nextDue()
        return Deadline(state.wakesAt)
      }
      for action in due { action() }
      if due.isEmpty { csidecar_alarm_sleep(alarm, next.remaining?.wholeNanoseconds ?? -1) }
    }
  }
}

// At file scope: written as a closure in a context that is isolated to the main actor, it would trap on the new thread.
private func timerThreadMain(_ context: UnsafeMutableRawPointer) {
  Unmanaged<TimerThread>.fromOpaque(context).takeRetainedValue().serve()
}
