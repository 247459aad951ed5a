/// One thing to run on a sidecar thread.
enum Job {
  /// A piece of a task that is isolated to an actor on this executor.
  case isolated(UnownedJob, UnownedSerialExecutor)
  /// A piece of a task that merely prefers this executor.
  case preferring(UnownedJob, UnownedTaskExecutor)
  /// A closure posted by this package: a quarter of a task's cost, in the same order.
  case closure(@Sendable () -> Void)

  func run() {
    switch self {
    case .isolated(let job, let executor): job.runSynchronously(on: executor)
    case .preferring(let job, let executor): job.runSynchronously(on: executor)
    case .closure(let closure): closure()
    }
  }
}

/// The jobs of a sidecar thread, in the order in which they came from any thread.
///
/// Three rules:
/// - **Only a loop that sleeps is woken.** The parked flag is written and read under the queue's lock. The loop sets it
///   when it finds nothing to do, and clears it when it is awake; an enqueue in between clears it and signals. No job
///   can slip in between.
/// - **Order is arrival.** Priorities are ignored: reordering jobs would reorder frames.
/// - **Nothing is lost.** Once the thread has ended, a fallback executor runs the jobs, one at a time and in order, on
///   a worker of ``BlockingWorkQueue``. A task that awaits an actor whose thread is gone gets its turn, and its error.
final class JobQueue: Sendable {
  private struct State {
    var waiting: [Job] = []
    /// The loop sleeps in its poller, or is about to; the next enqueue has to wake it.
    var isParked = false
    var stopRequested = false
    /// Present while the thread runs: then the loop runs the jobs, and otherwise the fallback executor.
    var wake: WakeSignal?
    /// The fallback executor is working on `waiting`.
    var fallbackIsRunning = false

    /// What to signal so that the loop sees a change; nil if it is awake, as it is when the caller is on its thread.
    mutating func takeWake(onThread: Bool) -> WakeSignal? {
      guard isParked, !onThread else { return nil }
      isParked = false
      return wake
    }
  }

  private let state: Locked<State>

  init(wake: WakeSignal) {
    state = Locked(State(wake: wake))
  }

  private var marker: UnsafeRawPointer { UnsafeRawPointer(Unmanaged.passUnretained(self).toOpaque()) }

  /// Whether the calling thread is the sidecar's thread, or runs its jobs as the fallback executor.
  var isCurrent: Bool { CurrentExecutor.marker == marker }

  /// Runs `body` with the calling thread marked as this queue's.
  func asCurrent(_ body: () -> Void) {
    CurrentExecutor.with(marker, body)
  }

  // MARK: From any thread

  func enqueue(_ job: Job) {
    var needsFallback = false
    let wake: WakeSignal? = state.withLock { state in
      state.waiting.append(job)
      if state.wake == nil {
        needsFallback = !state.fallbackIsRunning
        state.fallbackIsRunning = true
      }
      return state.takeWake(onThread: isCurrent)
    }
    // Outside the lock, so that the woken loop does not run straight into it.
    signal(wake)
    if needsFallback { startFallback() }
  }

  /// Ends the loop's sleep, if it sleeps.
  func wake() {
    signal(state.withLock { $0.takeWake(onThread: isCurrent) })
  }

  /// Asks the loop to end after the jobs that it finds waiting.
  func requestStop() {
    let wake: WakeSignal? = state.withLock { state in
      state.stopRequested = true
      return state.takeWake(onThread: isCurrent)
    }
    signal(wake)
  }

  /// Signals, now or, if the system refuses, as soon as it accepts: no other code would signal again.
  private func signal(_ wake: WakeSignal?) {
    guard let wake, !wake.signal() else { return }
    TimerThread.shared.retry { wake.signal() }
  }

  // MARK: From the loop

  /// What the loop has to do before it can sleep.
  enum Work { case none, jobs, stop }

  /// Returns whether there is work; if there is none, the next enqueue will signal.
  func park() -> Work {
    state.withLock { state in
      if state.stopRequested { return .stop }
      if !state.waiting.isEmpty { return .jobs }
      state.isParked = true
      return .none
    }
  }

  /// Says that the loop is awake, and will look for jobs before it sleeps again.
  func unpark() {
    state.withLock { $0.isParked = false }
  }

  /// Moves the waiting jobs into `batch`, which must be empty and whose storage the queue goes on with.
  func take(into batch: inout [Job]) {
    state.withLock { state in
      state.isParked = false
      swap(&state.waiting, &batch)
    }
  }

  /// Hands the queue over to the fallback executor, which runs the jobs that still wait or come later. The thread's
  /// last use of it.
  func end() {
    var released: WakeSignal?
    let needsFallback = state.withLock { state in
      released = state.wake
      state.wake = nil
      state.fallbackIsRunning = !state.waiting.isEmpty
      return state.fallbackIsRunning
    }
    _ = consume released
    if needsFallback { startFallback() }
  }

  // MARK: The fallback executor

  private func startFallback() {
    BlockingWorkQueue.run { [self] in
      asCurrent {
        var batch: [Job] = []
        while takeLate(into: &batch) {
          for job in batch { job.run() }
          batch.removeAll(keepingCapacity: true)
        }
      }
    }
  }

  private func takeLate(into batch: inout [Job]) -> Bool {
    state.withLock { state in
      guard !state.waiting.isEmpty else {
        state.fallbackIsRunning = false
        return false
      }
      swap(&state.waiting, &batch)
      return true
    }
  }
}
