internal import SidecarExecutor

/// Whether a connection follows its script.
enum ScriptPhase {
  /// The next move can be made.
  case running
  /// The next move is made when an event has happened.
  case waiting(PendingWait)
  /// No steps are left. The fallback behavior answers.
  case over

  var isOver: Bool {
    if case .over = self { true } else { false }
  }
}

/// What a script waits for.
struct PendingWait {
  enum Event {
    /// The system has taken everything that was queued.
    case written
    /// The client has done something.
    case received(TestServer.WaitCondition)
    /// A timer has fired or a gate has opened; see ``ServerConnection/resumeScript(_:)``.
    case resumption(id: UInt64, timer: TimerID?)
  }

  let event: Event
  /// The description of the step that waits.
  let step: String
}

/// What the groups that the script is in change, until they are left.
struct OpenGroups {
  /// Output in pieces of `chunk` bytes, one per `interval`.
  struct Pacing {
    let chunk: Int
    let interval: Duration
  }

  /// The groups that hold back output.
  private(set) var corkDepth = 0
  /// The groups that stop reading and writing.
  private(set) var stallDepth = 0
  /// The groups that write in pieces; the last one counts.
  private(set) var pacing: [Pacing] = []

  mutating func enter(_ group: TestServer.Group) {
    switch group {
    case .together: corkDepth += 1
    case .dribble(let chunk, let interval): pacing.append(Pacing(chunk: chunk, interval: interval))
    case .stalled: stallDepth += 1
    case .once, .times, .lasting: break
    }
  }

  mutating func leave(_ group: TestServer.Group) {
    switch group {
    case .together: corkDepth -= 1
    case .dribble: pacing.removeLast()
    case .stalled: stallDepth -= 1
    case .once, .times, .lasting: break
    }
  }
}
