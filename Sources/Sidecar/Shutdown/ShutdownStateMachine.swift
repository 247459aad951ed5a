// The shutdown of a sidecar, step by step.
//
// A sidecar runs until a shutdown is requested. Each step has a deadline, after which the next one begins whatever has
// happened. All deadlines are fixed at the request, so the steps together stay within one bound.
//
//   1. Closing flag: new work fails, the loop is woken. Takes no time.
//   2. Draining (the socket): queued bytes are written, the Close frames are exchanged, the stream ends. After its
//      deadline the connection is aborted.
//   3. Cancelling (the tasks): the tasks that were started on the sidecar are cancelled and awaited. After its deadline
//      those that remain are abandoned.
//   4. Joining (the thread): the thread is stopped and joined. After its deadline it is abandoned: it ends by itself
//      when the code that holds it returns.
//
// The machine decides and keeps the times; the coordinator carries out. Events and the time come from outside, so every
// path is tested without a thread.
//
//   state       shutdownRequested  connectionEnded        tasksEnded           threadEnded     tick, after the deadline
//   ──────────  ─────────────────  ─────────────────────  ───────────────────  ──────────────  ───────────────────────
//   running     draining           noted                  –                    noted           –
//               stopAccepting, close
//   draining    –                  cancelling             –                    noted           cancelling
//                                  cancelTasks                                                 abort, cancelTasks
//   cancelling  –                  noted                  joining              noted           joining
//                                                         stopThread                           abandonTasks, stopThread
//   joining     –                  noted; ended if the    –                    noted; ended if ended
//                                  thread has ended                            the connection  abandonThread,
//                                  publishReport                               has: publish-   publishReport
//                                                                              Report
//   ended       –                  –                      –                    –               –
//
// A tick before the deadline changes nothing; it is logged, so that a long wait is visible. The connection has the same
// deadline for draining: if it notices first, connectionGivenUp comes in place of connectionEnded, and the step has
// timed out all the same.

internal import SidecarExecutor

/// Decides what each event means for the shutdown of a sidecar; carries nothing out.
struct ShutdownStateMachine: Sendable {
  typealias Instant = MonotonicInstant

  enum State: Hashable, Sendable { case running, draining, cancelling, joining, ended }

  enum Event: Hashable, Sendable {
    /// The first one counts. Nothing in the rest of the plan depends on who asked.
    case shutdownRequested(bound: Duration, hasTasks: Bool)
    case connectionEnded
    /// The connection ended because the peer did not end it in time.
    case connectionGivenUp
    case tasksEnded
    case threadEnded
    /// Time has passed.
    case tick
  }

  enum Action: Hashable, Sendable {
    /// Refuse new work.
    case stopAccepting
    /// Begin the closing handshake, or give up connecting.
    case close(deadline: Instant)
    /// Drop the connection without waiting for the peer.
    case abortConnection
    case cancelTasks
    case abandonTasks
    case stopThread
    case abandonThread
    /// Log that this step has not ended yet.
    case logWaiting(ShutdownReport.Step.Name, elapsed: Duration)
    /// Send ``Event/tick`` at this time.
    case wakeAt(Instant)
    /// Everything is over: publish the report.
    case publishReport
  }

  /// How often a step that takes long is logged.
  static let logInterval = Duration.seconds(1)
  /// What a shutdown may take beyond its bound, so that even one of zero is orderly: time for tasks to react to
  /// their cancellation, for the last turn of the loop, and for the join. Users are promised "at most 100 ms", which
  /// leaves room for a loaded machine.
  static let grace = Duration.milliseconds(50)
  /// How long the shutdown waits for its last line to be logged.
  static let logGrace = Duration.milliseconds(20)

  private struct Request {
    let time: Instant
    let bound: Duration
    let hasTasks: Bool

    var deadline: Instant { time + bound }
  }

  private struct CurrentStep {
    let name: ShutdownReport.Step.Name
    let began: Instant
    let deadline: Instant
  }

  /// What has to end before the last step is complete.
  private struct Remaining: OptionSet {
    let rawValue: UInt8
    static let connection = Remaining(rawValue: 1)
    static let thread = Remaining(rawValue: 2)
  }

  private(set) var state = State.running
  private(set) var steps: [ShutdownReport.Step] = []
  private var request: Request?
  private var step: CurrentStep?
  private var remaining: Remaining

  /// Makes the machine of a running sidecar.
  ///
  /// - Parameter ownsThread: Whether a thread ends with the sidecar.
  init(ownsThread: Bool) {
    remaining = ownsThread ? [.connection, .thread] : .connection
  }

  var isRunning: Bool { state == .running }

  /// How long ago the shutdown was requested.
  func elapsed(at now: Instant) -> Duration { request?.time.duration(to: now) ?? .zero }

  mutating func handle(_ event: Event, at now: Instant) -> [Action] {
    switch event {
    case .connectionEnded, .connectionGivenUp: remaining.remove(.connection)
    case .threadEnded: remaining.remove(.thread)
    case .shutdownRequested, .tasksEnded, .tick: break
    }
    // One array for all actions: several of them were a good part of the cost of a shutdown.
    var actions: [Action] = []
    actions.reserveCapacity(4)
    switch (state, event) {
    case (.running, .shutdownRequested(let bound, let hasTasks)):
      begin(Request(time: now, bound: max(.zero, bound), hasTasks: hasTasks), &actions)
    case (.draining, .connectionEnded):
      enterCancelling(drained: .completed, at: now, &actions)
      actions.append(.cancelTasks)
    case (.draining, .connectionGivenUp):
      enterCancelling(drained: .timedOut, at: now, &actions)
      actions.append(.cancelTasks)
    case (.cancelling, .tasksEnded):
      enterJoining(cancelled: hasTasks ? .completed : .notNeeded, at: now, &actions)
    case (.joining, .connectionEnded), (.joining, .connectionGivenUp), (.joining, .threadEnded):
      endIfDone(at: now, &actions)
    case (_, .tick):
      tick(at: now, &actions)
    default:
      break
    }
    return actions
  }

  private var hasTasks: Bool { request?.hasTasks ?? false }

  private mutating func begin(_ request: Request, _ actions: inout [Action]) {
    self.request = request
    // Tasks that still run when the socket is closed get a part of the bound of their own.
    let reserved = request.hasTasks ? min(request.bound / 4, .milliseconds(250)) : .zero
    state = .draining
    let deadline = request.time + (request.bound - reserved)
    // First: with a bound of zero the tick comes at once, and on another thread.
    actions.append(.stopAccepting)
    enterStep(.socket, until: deadline, at: request.time, &actions)
    actions.append(.close(deadline: deadline))
  }

  private mutating func enterCancelling(
    drained: ShutdownReport.Outcome, at now: Instant, _ actions: inout [Action]
  ) {
    record(drained, at: now)
    state = .cancelling
    enterStep(.tasks, until: deadline(now) + ShutdownStateMachine.grace / 2, at: now, &actions)
  }

  private mutating func enterJoining(
    cancelled: ShutdownReport.Outcome, at now: Instant, _ actions: inout [Action]
  ) {
    record(cancelled, at: now)
    state = .joining
    enterStep(.thread, until: deadline(now) + ShutdownStateMachine.grace, at: now, &actions)
    actions.append(.stopThread)
    endIfDone(at: now, &actions)
  }

  private mutating func endIfDone(at now: Instant, _ actions: inout [Action]) {
    guard remaining.isEmpty else { return }
    record(.completed, at: now)
    state = .ended
    actions.append(.publishReport)
  }

  private mutating func tick(at now: Instant, _ actions: inout [Action]) {
    guard let step else { return }
    guard now >= step.deadline else {
      actions.append(.wakeAt(min(step.deadline, now + ShutdownStateMachine.logInterval)))
      return actions.append(.logWaiting(step.name, elapsed: step.began.duration(to: now)))
    }
    switch state {
    case .running, .ended:
      break
    case .draining:
      enterCancelling(drained: .timedOut, at: now, &actions)
      actions += [.abortConnection, .cancelTasks]
    case .cancelling:
      // Without tasks, the step before has used up the time, and this one ends as soon as it begins.
      actions.append(.abandonTasks)
      enterJoining(cancelled: hasTasks ? .timedOut : .notNeeded, at: now, &actions)
    case .joining:
      record(.timedOut, at: now)
      state = .ended
      actions += [.abandonThread, .publishReport]
    }
  }

  /// When the bound of the whole shutdown ends.
  private func deadline(_ now: Instant) -> Instant { request?.deadline ?? now }

  private mutating func enterStep(
    _ name: ShutdownReport.Step.Name, until deadline: Instant, at now: Instant, _ actions: inout [Action]
  ) {
    step = CurrentStep(name: name, began: now, deadline: deadline)
    actions.append(.wakeAt(min(deadline, now + ShutdownStateMachine.logInterval)))
  }

  /// Ends the current step.
  private mutating func record(_ outcome: ShutdownReport.Outcome, at now: Instant) {
    guard let ended = step else { return }
    step = nil
    if steps.isEmpty { steps.reserveCapacity(3) }
    steps.append(
      ShutdownReport.Step(
        name: ended.name, outcome: outcome, elapsed: ended.began.duration(to: now),
        bound: max(.zero, ended.began.duration(to: ended.deadline))))
  }
}
