// The life of a sidecar, in one place.
//
// A sidecar runs until it is told to end. Ending has four steps, and each has a moment by which the next one begins,
// whatever happens: all of them are fixed when the shutdown is requested, so that the whole stays within one bound.
//
//   1. The closing flag. New work is refused, receivers are released, the loop is woken. Takes no time.
//   2. The socket (draining): queued bytes are written, the Close frames are exchanged, the stream ends. Past its
//      moment the connection is aborted.
//   3. The tasks (cancelling) that were started on the sidecar: cancelled, and awaited. Past its moment those that are
//      left are abandoned.
//   4. The thread (joining): stopped and joined. Past its moment it is abandoned: it ends by itself, once whatever
//      holds it lets go.
//
// The machine decides and keeps the times; the coordinator carries out. Both the events and the clock come from
// outside, so every path is tested without a thread.
//
//   state       shutdownRequested  connectionEnded        tasksEnded           threadEnded     tick, past the moment
//   ──────────  ─────────────────  ─────────────────────  ───────────────────  ──────────────  ───────────────────────
//   running     draining           –                      –                    –               –
//               stopAccepting, close
//   draining    –                  cancelling             –                    noted           cancelling
//                                  cancelTasks                                                 abort, cancelTasks
//   cancelling  –                  noted                  joining              noted           joining
//                                                         stopThread                           abandonTasks, stopThread
//   joining     –                  noted; ended if the    –                    noted; ended if ended
//                                  thread has ended                            the connection  abandonThread, announce
//                                  announce                                    has: announce
//   ended       –                  –                      –                    –               –
//
// A tick before the moment changes nothing: it is logged, so that a long wait shows. The connection watches its own
// deadline, which is the same moment: when it is the first to notice, connectionGivenUp comes in place of
// connectionEnded, and the step has timed out all the same.

internal import SidecarExecutor

/// Decides what each event means for a sidecar's life; carries nothing out.
struct ShutdownStateMachine: Sendable {
  typealias Instant = MonotonicInstant

  enum State: Hashable, Sendable { case running, draining, cancelling, joining, ended }

  enum Event: Hashable, Sendable {
    /// The first one counts. Nothing in the rest of the plan depends on who asked.
    case shutdownRequested(bound: Duration, hasTasks: Bool)
    case connectionEnded
    /// The same, but it was dropped because the peer did not end it in time.
    case connectionGivenUp
    case tasksEnded
    case threadEnded
    /// Time has passed.
    case tick
  }

  enum Action: Hashable, Sendable {
    /// Refuse new work and release receivers.
    case stopAccepting
    /// Begin the closing handshake, or give up connecting.
    case close(deadline: Instant)
    /// Drop the connection without waiting for the peer.
    case abortConnection
    case cancelTasks
    case abandonTasks
    case stopThread
    case abandonThread
    /// A tick came before the moment: say that this step still waits.
    case logWaiting(ShutdownReport.Step.Name, elapsed: Duration)
    /// Make ``Event/tick`` happen at this moment.
    case wakeAt(Instant)
    /// Everything is over: release whoever still waits, and publish the report.
    case announce
  }

  /// How often a step that takes long is logged.
  static let logInterval = Duration.seconds(1)
  /// What a shutdown may take beyond its bound, so that even one without any time ends in order: it covers tasks that
  /// react to their cancellation, the last turn of the loop and the join. Promised to users as "at most 100 ms" to leave
  /// room for a loaded machine.
  static let grace = Duration.milliseconds(50)
  /// How long the log may take for its last line before the shutdown returns all the same.
  static let logGrace = Duration.milliseconds(20)

  private(set) var state = State.running
  private(set) var steps: [ShutdownReport.Step] = []
  private var requested: Instant?
  private var bound = Duration.zero
  private var stepBegan: Instant?
  /// When the current step is given up.
  private var moment: Instant?
  private var connectionHasEnded = false
  private var threadHasEnded: Bool
  private var hasTasks = false

  /// Makes the life of a sidecar; `ownsThread` says whether a thread ends with it.
  init(ownsThread: Bool) {
    threadHasEnded = !ownsThread
  }

  var isRunning: Bool { state == .running }

  /// How long ago the shutdown was requested.
  func elapsed(at now: Instant) -> Duration { requested?.duration(to: now) ?? .zero }

  mutating func handle(_ event: Event, at now: Instant) -> [Action] {
    switch event {
    case .connectionEnded, .connectionGivenUp: connectionHasEnded = true
    case .threadEnded: threadHasEnded = true
    default: break
    }
    // One array for each decision, and not one for each part of it: making them was a good part of what a shutdown takes.
    var actions: [Action] = []
    actions.reserveCapacity(4)
    switch (state, event) {
    case (.running, .shutdownRequested(let bound, let hasTasks)):
      begin(bound: bound, hasTasks: hasTasks, at: now, &actions)
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

  private mutating func begin(bound: Duration, hasTasks: Bool, at now: Instant, _ actions: inout [Action]) {
    requested = now
    self.bound = max(.zero, bound)
    self.hasTasks = hasTasks
    // Tasks that are still there when the socket is closed get a part of the bound of their own.
    let reserved = hasTasks ? min(self.bound / 4, .milliseconds(250)) : .zero
    state = .draining
    let end = now + self.bound - reserved
    // The flag first: without any time, the tick comes at once, and on another thread.
    actions.append(.stopAccepting)
    enterStep(until: end, at: now, &actions)
    actions.append(.close(deadline: end))
  }

  private mutating func enterCancelling(
    drained: ShutdownReport.Outcome, at now: Instant, _ actions: inout [Action]
  ) {
    record(.socket, drained, at: now)
    state = .cancelling
    enterStep(until: end + ShutdownStateMachine.grace / 2, at: now, &actions)
  }

  private mutating func enterJoining(
    cancelled: ShutdownReport.Outcome, at now: Instant, _ actions: inout [Action]
  ) {
    record(.tasks, cancelled, at: now)
    state = .joining
    enterStep(until: end + ShutdownStateMachine.grace, at: now, &actions)
    actions.append(.stopThread)
    endIfDone(at: now, &actions)
  }

  private mutating func endIfDone(at now: Instant, _ actions: inout [Action]) {
    guard connectionHasEnded, threadHasEnded else { return }
    record(.thread, .completed, at: now)
    state = .ended
    actions.append(.announce)
  }

  private mutating func tick(at now: Instant, _ actions: inout [Action]) {
    guard let moment, let stepBegan else { return }
    guard now >= moment else {
      guard let step = currentStep else { return }
      actions.append(.wakeAt(min(moment, now + ShutdownStateMachine.logInterval)))
      return actions.append(.logWaiting(step, elapsed: stepBegan.duration(to: now)))
    }
    switch state {
    case .running, .ended:
      break
    case .draining:
      enterCancelling(drained: .timedOut, at: now, &actions)
      actions += [.abortConnection, .cancelTasks]
    case .cancelling:
      // Without tasks, the step before has used up the time, and this one is over as soon as it has begun.
      actions.append(.abandonTasks)
      enterJoining(cancelled: hasTasks ? .timedOut : .notNeeded, at: now, &actions)
    case .joining:
      record(.thread, .timedOut, at: now)
      state = .ended
      actions += [.abandonThread, .announce]
    }
  }

  private var end: Instant { (requested ?? .now) + bound }

  private var currentStep: ShutdownReport.Step.Name? {
    switch state {
    case .draining: .socket
    case .cancelling: .tasks
    case .joining: .thread
    case .running, .ended: nil
    }
  }

  private mutating func enterStep(until moment: Instant, at now: Instant, _ actions: inout [Action]) {
    stepBegan = now
    self.moment = moment
    actions.append(.wakeAt(min(moment, now + ShutdownStateMachine.logInterval)))
  }

  private mutating func record(
    _ name: ShutdownReport.Step.Name, _ outcome: ShutdownReport.Outcome, at now: Instant
  ) {
    guard let stepBegan, let moment else { return }
    if steps.isEmpty { steps.reserveCapacity(3) }
    steps.append(
      ShutdownReport.Step(
        name: name, outcome: outcome, elapsed: stepBegan.duration(to: now),
        bound: max(.zero, stepBegan.duration(to: moment))))
  }
}
