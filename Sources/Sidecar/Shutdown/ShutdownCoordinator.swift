internal import SidecarExecutor
internal import SidecarProtocol

/// Ends a sidecar, within a bound, whoever asks and whatever holds it up.
///
/// It owns no thread and no task. It is moved by events alone: the connection's end, the last task's end, the thread's
/// end, and a timer that belongs to neither the sidecar thread (which the application may hold) nor the concurrency pool
/// (which may be full). The ``ShutdownStateMachine`` decides what each event means; this carries it out, outside the lock.
/// Whoever asked for the shutdown only waits for the report.
final class ShutdownCoordinator: Sendable {
  /// Completed when everything is over.
  let report = Promise<ShutdownReport>()

  private let connection: Connection
  private let thread: SidecarThread
  private let ownsThread: Bool
  private let tasks: TaskRegistry

  private struct State {
    var lifecycle: ShutdownStateMachine
    var wasRequested = false
    var timer: DeadlineTimer?
    /// How many events the lifecycle has decided on, and on which of them the timer was armed.
    var decisions = 0
    var timerDecision = 0
    var bound = Duration.zero
    var keepsUnread = false
    var payload = ClosePayload.empty
    var cancelledTaskCount = 0
    var abandoned: [ShutdownReport.Abandoned] = []
  }

  private let state: Locked<State>

  init(connection: Connection, thread: SidecarThread, ownsThread: Bool, tasks: TaskRegistry) {
    self.connection = connection
    self.thread = thread
    self.ownsThread = ownsThread
    self.tasks = tasks
    state = Locked(State(lifecycle: ShutdownStateMachine(ownsThread: ownsThread)))
  }

  /// Whether nobody has asked for the end yet.
  var isRunning: Bool { state.withLock { !$0.wasRequested } }

  /// Requests the shutdown; returns whether this is the first request. Later ones only get to wait for the same report.
  @discardableResult
  func request(bound: Duration, keepingUnread: Bool, payload: ClosePayload) -> Bool {
    let isFirst = state.withLock { state in
      guard !state.wasRequested else { return false }
      state.wasRequested = true
      state.bound = max(.zero, bound)
      state.keepsUnread = keepingUnread
      state.payload = payload
      return true
    }
    guard isFirst else { return false }
    tasks.close()
    let wasOver = connection.places.ended.current != nil
    handle(.shutdownRequested(bound: bound, hasTasks: tasks.hasTasks))
    connection.places.ended.whenComplete { status in
      let isGivenUp = !wasOver && status.error == .timedOut(.closingHandshake)
      self.handle(isGivenUp ? .connectionGivenUp : .connectionEnded)
    }
    if ownsThread { thread.whenEnded { self.handle(.threadEnded) } }
    return true
  }

  /// Blocks until everything is over; `bound` is what was requested if the caller was the first to do so, and otherwise nil.
  func waitForReport(requestedWithin bound: Duration?) -> ShutdownReport {
    // The report is made before the thread has quite ended, and by the thread: whoever waits for the thread itself is woken
    // once, and finds both. If the thread does not end, the report comes when this wait ends too.
    if ownsThread, let bound { _ = thread.join(until: Deadline(.now + max(.zero, bound) + ShutdownStateMachine.grace)) }
    defer { if thread.hasEnded { thread.reap() } }
    return report.wait(until: .never) ?? provisionalReport
  }

  /// Takes note that there is nothing to shut down: the sidecar never had a thread. It has not been counted either.
  func abandonBeforeStart() {
    state.withLock { $0.wasRequested = true }
  }

  /// What there is to report so far, for a caller that can't wait.
  var provisionalReport: ShutdownReport {
    report.current ?? makeReport(state.withLock { $0 }, isFinal: false)
  }

  private func handle(_ event: ShutdownStateMachine.Event) {
    let (actions, decision) = state.withLock { state in
      state.decisions += 1
      return (state.lifecycle.handle(event, at: .now), state.decisions)
    }
    for action in actions { perform(action, decision) }
  }

  private func perform(_ action: ShutdownStateMachine.Action, _ decision: Int) {
    switch action {
    case .wakeAt(let instant): wake(at: instant, decision)
    case .stopAccepting: stopAccepting()
    case .close(let deadline): close(deadline)
    case .abortConnection: abortConnection()
    case .cancelTasks: cancelTasks()
    case .abandonTasks: abandonTasks()
    case .stopThread: if ownsThread { thread.requestStop() }
    case .abandonThread: abandonThread()
    case .logWaiting(let step, let elapsed): logWaiting(step, elapsed)
    case .announce: announce()
    }
  }

  func wake(at instant: MonotonicInstant, _ decision: Int) {
    let timer = DeadlineTimer(Deadline(instant)) { self.handle(.tick) }
    let obsolete = state.withLock { state in
      // Several threads carry out what they were told, and this one may be late. The end may have been announced: nobody
      // would cancel the timer, and it holds the coordinator, and with it the thread. Or a later decision's timer is
      // armed, perhaps because this one has fired by now: taking its place would cancel the only one that still comes.
      guard state.lifecycle.state != .ended, decision >= state.timerDecision else { return Optional(timer) }
      state.timerDecision = decision
      defer { state.timer = timer }
      return state.timer
    }
    obsolete?.cancel()
  }

  private func stopAccepting() {
    connection.places.stopAccepting(keepingUnread: state.withLock { $0.keepsUnread })
  }

  private func close(_ deadline: MonotonicInstant) {
    let payload = state.withLock { $0.payload }
    connection.requestClose(payload, deadline: Deadline(deadline), discarding: true)
  }

  private func abortConnection() {
    connection.post { $0.abort() }
  }

  private func cancelTasks() {
    let count = tasks.count
    guard count > 0 else { return tasks.cancelAll { self.handle(.tasksEnded) } }
    state.withLock { $0.cancelledTaskCount = count }
    // The application's cancellation handlers run where the task is cancelled, and may block: not here, where the timers
    // are served, or the sidecar.
    BlockingWorkQueue.run { [tasks] in tasks.cancelAll { self.handle(.tasksEnded) } }
  }

  private func abandonTasks() {
    let count = tasks.abandon()
    if count > 0 { state.withLock { $0.abandoned.append(.tasks(count: count)) } }
  }

  private func abandonThread() {
    // A shared thread goes on, but it has not ended the connection: it is held all the same.
    state.withLock { $0.abandoned.append(.thread(name: thread.name)) }
    if ownsThread { thread.abandon() }
    // What the thread can't do any more in time: end every call that waits on the connection, and let the peer see the
    // end of the stream. The descriptor itself stays with the thread.
    connection.places.outbox.abortSocket()
    let status = CloseStatus(
      code: .abnormalClosure, reason: "", initiator: .us, error: .timedOut(.closingHandshake))
    connection.places.release(status)
    connection.places.ended.complete(status)
  }

  private func logWaiting(_ step: ShutdownReport.Step.Name, _ elapsed: Duration) {
    guard let onLog = connection.configuration.onLog else { return }
    BlockingWorkQueue.run { onLog(.shutdownWaiting(step, elapsed: elapsed)) }
  }

  private func announce() {
    if let host = connection.hostBeingResolved {
      state.withLock { $0.abandoned.append(.resolution(host: host)) }
    }
    let snapshot = state.withLock { state in
      defer { state.timer = nil }
      return state
    }
    snapshot.timer?.cancel()
    let final = makeReport(snapshot, isFinal: true)
    LiveCounters.sidecars.decrement()
    guard let onLog = connection.configuration.onLog else { return publish(final) }
    // Off the sidecar's thread, which is about to be joined. The log has a moment, so that it is complete when the
    // shutdown returns; a slow one does not hold it up.
    let logged = Promise<Void>()
    let timer = DeadlineTimer(.after(ShutdownStateMachine.logGrace)) { logged.complete(()) }
    logged.whenComplete {
      timer.cancel()
      self.publish(final)
    }
    BlockingWorkQueue.run {
      onLog(.shutDown(final))
      logged.complete(())
    }
  }

  private func publish(_ final: ShutdownReport) {
    report.complete(final)
    // A task that asked for the shutdown has waited for this report. It now has a moment to return; then whoever waits
    // for it is released all the same.
    guard tasks.count > 0 else { return }
    let timer = DeadlineTimer(.after(ShutdownStateMachine.grace)) { [tasks] in tasks.abandonAll() }
    state.withLock { $0.timer = timer }
  }

  private func makeReport(_ state: State, isFinal: Bool) -> ShutdownReport {
    var steps = state.lifecycle.steps
    if !isFinal {
      let all: [ShutdownReport.Step.Name] = [.socket, .tasks, .thread]
      for name in all.dropFirst(steps.count) {
        steps.append(.init(name: name, outcome: .underWay, elapsed: .zero, bound: state.bound))
      }
    }
    return ShutdownReport(
      steps: steps, bound: state.bound, elapsed: state.lifecycle.elapsed(at: .now),
      closeStatus: connection.places.ended.current, cancelledTaskCount: state.cancelledTaskCount,
      abandoned: state.abandoned)
  }
}
