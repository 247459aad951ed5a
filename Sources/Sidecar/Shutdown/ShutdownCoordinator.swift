internal import SidecarExecutor
internal import SidecarProtocol

/// Ends a sidecar within a bound, from any caller and against any delay.
///
/// It owns no thread and no task. Events move it: the connection's end, the last task's end, the thread's end, and a
/// timer that depends neither on the sidecar's thread, which application code may block, nor on Swift's cooperative
/// thread pool, which may be full. The ``ShutdownStateMachine`` decides what each event means; this carries it out,
/// outside the lock. Callers of a shutdown only wait for the report.
final class ShutdownCoordinator: Sendable {
  /// Completed when everything is over.
  let report = Promise<ShutdownReport>()

  private let connection: Connection
  private let thread: SidecarThread
  private let ownsThread: Bool
  private let tasks: TaskRegistry

  /// What the first request asked for.
  private struct Request {
    let bound: Duration
    let keepsUnread: Bool
    let payload: ClosePayload
  }

  private struct State {
    var machine: ShutdownStateMachine
    var request: Request?
    var timer: DeadlineTimer?
    /// How many events the machine has decided on, and at which of them the timer was armed.
    var decisions = 0
    var timerDecision = 0
    var cancelledTaskCount = 0
    var abandoned: [ShutdownReport.Abandoned] = []
  }

  private let state: Locked<State>

  init(connection: Connection, thread: SidecarThread, ownsThread: Bool, tasks: TaskRegistry) {
    self.connection = connection
    self.thread = thread
    self.ownsThread = ownsThread
    self.tasks = tasks
    state = Locked(State(machine: ShutdownStateMachine(ownsThread: ownsThread)))
  }

  /// True until a shutdown is requested.
  var isRunning: Bool { state.withLock { $0.request == nil } }

  /// Requests the shutdown. Later requests only wait for the same report.
  ///
  /// - Returns: True if this is the first request.
  @discardableResult
  func request(bound: Duration, keepingUnread: Bool, payload: ClosePayload) -> Bool {
    let request = Request(bound: max(.zero, bound), keepsUnread: keepingUnread, payload: payload)
    let isFirst = state.withLock { state in
      guard state.request == nil else { return false }
      state.request = request
      return true
    }
    guard isFirst else { return false }
    tasks.close()
    let wasOver = connection.shared.closed.current != nil
    handle(.shutdownRequested(bound: request.bound, hasTasks: tasks.hasTasks))
    connection.shared.closed.whenComplete { status in
      let isGivenUp = !wasOver && status.error == .timedOut(.closingHandshake)
      self.handle(isGivenUp ? .connectionGivenUp : .connectionEnded)
    }
    if ownsThread { thread.whenEnded { self.handle(.threadEnded) } }
    return true
  }

  /// Blocks until everything is over.
  func waitForReport() -> ShutdownReport {
    defer { if thread.hasEnded { thread.reap() } }
    return report.wait(until: .never) ?? provisionalReport
  }

  /// The report so far, for a caller that cannot wait.
  var provisionalReport: ShutdownReport {
    report.current ?? makeReport(state.withLock { $0 }, isFinal: false)
  }

  private func handle(_ event: ShutdownStateMachine.Event) {
    let (actions, decision) = state.withLock { state in
      state.decisions += 1
      return (state.machine.handle(event, at: .now), state.decisions)
    }
    for action in actions { perform(action, decision) }
  }

  private func perform(_ action: ShutdownStateMachine.Action, _ decision: Int) {
    switch action {
    case .wakeAt(let instant): wake(at: instant, decision)
    case .stopAccepting: stopAccepting()
    case .close(let deadline): close(deadline)
    case .abortConnection: connection.post { $0.abort(.timedOut(.closingHandshake)) }
    case .cancelTasks: cancelTasks()
    case .abandonTasks: abandonTasks()
    case .stopThread: if ownsThread { thread.requestStop() }
    case .abandonThread: abandonThread()
    case .logWaiting(let step, let elapsed): logWaiting(step, elapsed)
    case .publishReport: publishReport()
    }
  }

  func wake(at instant: MonotonicInstant, _ decision: Int) {
    let timer = DeadlineTimer(Deadline(instant)) { self.handle(.tick) }
    let obsolete = state.withLock { state in
      // Several threads perform actions, and this one may be late. If the report has been published, nothing would
      // cancel the timer, which retains the coordinator and the thread. And a later decision's timer must not be
      // replaced: this one may have fired, and it would cancel the only one that still comes.
      guard state.machine.state != .ended, decision >= state.timerDecision else { return Optional(timer) }
      state.timerDecision = decision
      defer { state.timer = timer }
      return state.timer
    }
    obsolete?.cancel()
  }

  private func stopAccepting() {
    connection.shared.stopAccepting(keepingUnread: state.withLock { $0.request?.keepsUnread ?? false })
  }

  private func close(_ deadline: MonotonicInstant) {
    let payload = state.withLock { $0.request?.payload } ?? .goingAway
    connection.post { $0.close(payload, deadline: Deadline(deadline)) }
  }

  private func cancelTasks() {
    let count = tasks.count
    guard count > 0 else { return tasks.cancelAll { self.handle(.tasksEnded) } }
    state.withLock { $0.cancelledTaskCount = count }
    // The application's cancellation handlers run on the thread that cancels, and may block: not on this one, which
    // serves the timers or the sidecar.
    BlockingWorkQueue.run { [tasks] in tasks.cancelAll { self.handle(.tasksEnded) } }
  }

  private func abandonTasks() {
    let count = tasks.abandon()
    if count > 0 { state.withLock { $0.abandoned.append(.tasks(count: count)) } }
  }

  private func abandonThread() {
    // A shared thread continues, but it has not ended the connection: it is blocked too.
    state.withLock { $0.abandoned.append(.thread(name: thread.name)) }
    if ownsThread { thread.abandon() }
    // What the thread cannot do in time: end every call that waits on the connection, and let the peer see the end of
    // the stream. The descriptor stays with the thread.
    connection.shared.sendQueue.abortStream()
    let status = connection.shared.release(
      connection.closeStatus(.abandoned, because: .timedOut(.closingHandshake)))
    connection.shared.closed.complete(status)
  }

  private func logWaiting(_ step: ShutdownReport.Step.Name, _ elapsed: Duration) {
    guard let onLog = connection.configuration.onLog else { return }
    BlockingWorkQueue.run { onLog(.shutdownWaiting(step, elapsed: elapsed)) }
  }

  private func publishReport() {
    if let host = connection.connector.withLock({ $0 })?.hostBeingResolved {
      state.withLock { $0.abandoned.append(.resolution(host: host)) }
    }
    let snapshot = state.withLock { state in
      defer { state.timer = nil }
      return state
    }
    snapshot.timer?.cancel()
    LiveCounters.sidecars.decrement()
    guard let onLog = connection.configuration.onLog else { return publish(snapshot) }
    // Not on the sidecar's thread, which is about to be joined. The log gets a moment, so that it is complete when the
    // shutdown returns; a slow one does not delay it further.
    let logged = Promise<Void>()
    let timer = DeadlineTimer(.after(ShutdownStateMachine.logGrace)) { logged.complete(()) }
    logged.whenComplete {
      timer.cancel()
      self.publish(snapshot)
    }
    let final = makeReport(snapshot, isFinal: true)
    BlockingWorkQueue.run {
      onLog(.shutDown(final))
      logged.complete(())
    }
  }

  private func publish(_ snapshot: State) {
    // Made now, so that it tells the time that the caller sees.
    report.complete(makeReport(snapshot, isFinal: true))
    // A task that requested the shutdown has waited for this report. It now has a moment to return; then its caller is
    // released all the same.
    guard tasks.count > 0 else { return }
    let timer = DeadlineTimer(.after(ShutdownStateMachine.grace)) { [tasks] in tasks.abandonAll() }
    state.withLock { $0.timer = timer }
  }

  private func makeReport(_ state: State, isFinal: Bool) -> ShutdownReport {
    let bound = state.request?.bound ?? .zero
    var steps = state.machine.steps
    if !isFinal {
      let all: [ShutdownReport.Step.Name] = [.socket, .tasks, .thread]
      for name in all.dropFirst(steps.count) {
        steps.append(.init(name: name, outcome: .underWay, elapsed: .zero, bound: bound))
      }
    }
    return ShutdownReport(
      steps: steps, bound: bound, elapsed: state.machine.elapsed(at: .now),
      closeStatus: connection.shared.settledStatus.current, cancelledTaskCount: state.cancelledTaskCount,
      abandoned: state.abandoned)
  }
}
