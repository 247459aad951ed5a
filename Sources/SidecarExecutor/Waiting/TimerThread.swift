/// The deadlines of the process, and the thread that waits for the earliest of them.
///
/// Nearly all deadlines are cancelled, and cancelling costs only the lock: the thread is woken only by a deadline that
/// is earlier than the one it sleeps for. Dispatch's timers would each wake a thread twice, and need descriptors.
///
/// The thread itself never touches an action: it only names the timers that are due to a ``BlockingWorkQueue``, whose
/// workers take the actions out and run them. Running an action, or releasing what it captured, may run the
/// application's code, which may block. A worker always makes sure that another one is in reserve, so that one action
/// delays no other.
final class TimerThread: Sendable {
  static let shared = TimerThread()

  /// How soon something that failed is tried again.
  static let retryInterval = Duration.milliseconds(10)

  /// Does something that may fail, without waiting; returns whether it is done.
  typealias Attempt = @Sendable () -> Bool

  private struct State: ~Copyable {
    var timers = TimerQueue()
    var attempts: [Attempt] = []
    var isStarted = false
    /// The thread sleeps, or is about to, until `wakesAt`, or without end.
    var isAsleep = false
    var wakesAt: MonotonicInstant?

    /// Whether the thread has to be woken to be awake at `instant`.
    mutating func mustWake(at instant: MonotonicInstant) -> Bool {
      guard isAsleep, wakesAt.map({ instant < $0 }) ?? true else { return false }
      wakesAt = instant
      return true
    }
  }

  private let state = Locked(State())
  private let woken = Semaphore()
  private let actions = BlockingWorkQueue(name: "sidecar-expiry", minimumThreads: 1, maximumThreads: 64)

  /// Starts the thread and the first worker for actions; does nothing if they are there. One caller at a time.
  func start() throws(SystemError) {
    try actions.prepare()
    guard state.withLock({ !$0.isStarted }) else { return }
    LiveCounters.helperThreads.increment()
    do throws(SystemError) {
      try SystemThread.detached("sidecar-timers") { self.serve() }
    } catch {
      LiveCounters.helperThreads.decrement()
      throw error
    }
    state.withLock { $0.isStarted = true }
  }

  // MARK: From any thread

  func schedule(at due: MonotonicInstant, _ action: @escaping @Sendable () -> Void) -> TimerID {
    // Every sidecar thread has started it. If the system has no thread now, the timer waits for the next attempt.
    if !HelperThreads.areRunning { try? HelperThreads.start() }
    let (timer, mustWake) = state.withLock { state in
      let timer = state.timers.schedule(at: due, action)
      return (timer, state.mustWake(at: due))
    }
    if mustWake { woken.signal() }
    return timer
  }

  func cancel(_ timer: TimerID) {
    // Released outside of the lock: what the action holds may have timers of its own to cancel.
    let action = state.withLock { $0.timers.cancel(timer) }
    _ = consume action
  }

  /// Repeats `attempt` every ``retryInterval`` until it succeeds.
  ///
  /// For the package's own use only: it runs on the timers' thread, so it must not wait, run the application's code or
  /// hold its objects.
  func retry(_ attempt: @escaping Attempt) {
    if !HelperThreads.areRunning { try? HelperThreads.start() }
    let mustWake = state.withLock { state in
      state.attempts.append(attempt)
      return state.mustWake(at: .now + TimerThread.retryInterval)
    }
    if mustWake { woken.signal() }
  }

  // MARK: On the thread

  private func serve() {
    while true {
      var due: [TimerID] = []
      var attempts: [Attempt] = []
      let wakesAt = state.withLock { state in
        let now = MonotonicInstant.now
        while let timer = state.timers.nextDueTimer(at: now) { due.append(timer) }
        swap(&attempts, &state.attempts)
        state.isAsleep = due.isEmpty && attempts.isEmpty
        state.wakesAt = state.timers.nextDue()
        return state.wakesAt
      }
      for timer in due { handOver(timer) }
      if !attempts.isEmpty { repeatAttempts(attempts) } else if due.isEmpty { _ = woken.wait(until: Deadline(wakesAt)) }
    }
  }

  /// Has a worker run the action of a timer that is due, unless it is cancelled before.
  private func handOver(_ timer: TimerID) {
    actions.append { [self] in
      let action = state.withLock { $0.timers.cancel(timer) }
      action?()
    }
  }

  /// Tries again what failed before, and sleeps until the next time if something still fails.
  private func repeatAttempts(_ attempts: [Attempt]) {
    let failed = attempts.filter { !$0() }
    guard !failed.isEmpty else { return }
    let wakesAt = state.withLock { state in
      state.attempts += failed
      let retryAt = MonotonicInstant.now + TimerThread.retryInterval
      let wakesAt = min(retryAt, state.timers.nextDue() ?? retryAt)
      state.isAsleep = true
      state.wakesAt = wakesAt
      return wakesAt
    }
    _ = woken.wait(until: Deadline(wakesAt))
  }
}
