internal import CSidecarSystem

/// One thing to run on a sidecar thread.
enum Job {
  /// A piece of a task that is isolated to an actor on this executor.
  case isolated(UnownedJob, UnownedSerialExecutor)
  /// A piece of a task that merely prefers this executor.
  case preferring(UnownedJob, UnownedTaskExecutor)
  /// A closure posted by this package: a quarter of a task's cost, and ordered like one.
  case closure(@Sendable () -> Void)

  func run() {
    switch self {
    case .isolated(let job, let executor): job.runSynchronously(on: executor)
    case .preferring(let job, let executor): job.runSynchronously(on: executor)
    case .closure(let closure): closure()
    }
  }
}

/// What is handed to a sidecar thread from anywhere, in the order it came.
///
/// Three rules hold it together:
/// - **A wake is paid for only when the loop sleeps.** The parked flag is written and read under the queue's lock: the
///   loop sets it when it finds nothing to do, and clears it as soon as it is awake; an enqueue in between clears it and
///   signals. Nothing can slip in between.
/// - **Order is arrival.** Priorities are ignored: reordering jobs would reorder frames.
/// - **Nothing is lost.** Once the thread has ended, jobs still run, one at a time and in order, on a Dispatch worker
///   that stands in for the thread: a task that awaits an actor whose thread is gone gets its turn, and its error.
final class JobQueue: Sendable {
  private struct State {
    var waiting: [Job] = []
    /// The loop sleeps in its poller, or is about to; the next enqueue has to wake it.
    var isParked = false
    var stopRequested = false
    /// Present while the thread runs. Its presence says who runs the jobs: the loop, or the fallback executor.
    var wake: WakeSignal?
    /// A fallback executor is at work on `waiting`.
    var fallbackIsRunning = false

    /// What has to be signalled so that the loop sees what has changed; nil if it does not sleep. On its own thread it
    /// does not, whatever it said before it last did.
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

  /// Whether the calling thread is the sidecar thread, or stands in for it.
  ///
  /// Asked through an opaque C function: see `csidecar_current_executor`.
  var isCurrent: Bool {
    csidecar_current_executor() == Unmanaged.passUnretained(self).toOpaque()
  }

  /// Runs `body` with the calling thread marked as this queue's.
  func asCurrent(_ body: () -> Void) {
    let previous = csidecar_exchange_current_executor(Unmanaged.passUnretained(self).toOpaque())
    body()
    _ = csidecar_exchange_current_executor(previous)
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
    wake?.signal()
    if needsFallback { startFallback() }
  }

  /// Ends the loop's sleep, if it sleeps.
  func wake() {
    let wake = state.withLock { $0.takeWake(onThread: isCurrent) }
    wake?.signal()
  }

  /// Asks the loop to end after the jobs that it finds waiting.
  func requestStop() {
    let wake: WakeSignal? = state.withLock { state in
      state.stopRequested = true
      return state.takeWake(onThread: isCurrent)
    }
    wake?.signal()
  }

  // MARK: From the loop

  /// What the loop has to do before it may sleep.
  enum Work { case none, jobs, stop }

  /// Tells whether there is work; if there is none, the next enqueue will signal.
  func park() -> Work {
    state.withLock { state in
      if state.stopRequested { return .stop }
      if !state.waiting.isEmpty { return .jobs }
      state.isParked = true
      return .none
    }
  }

  /// Takes note that the loop is awake, and will look for jobs before it sleeps again.
  func unpark() {
    state.withLock { $0.isParked = false }
  }

  /// Moves the waiting jobs into `batch`, which must be empty, and lends the queue its storage.
  func take(into batch: inout [Job]) {
    state.withLock { state in
      state.isParked = false
      swap(&state.waiting, &batch)
    }
  }

  /// Hands the queue over to the fallback executor, as the last thing the thread does with it. Jobs that are still waiting, or
  /// come later, run there.
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
