extension TestServer {
  /// Walks through the steps of scripts and their groups; carries nothing out and has no clock.
  ///
  /// Scripts are taken one after the other. Each move is one of three: enter a group, take a step, leave a group.
  struct ScriptCursor {
    enum Move {
      case take(Step)
      case enter(Group)
      case leave(Group)
    }

    private struct Level {
      let group: Group
      let steps: [Step]
      var next = 0
      /// How often the steps are still to be begun after this time; nil without an end.
      var repetitions: Int?
      var deadline: ContinuousClock.Instant?
    }

    private var levels: [Level] = []
    private var waiting: [[Step]] = []

    init(_ steps: [Step]) {
      append(steps)
    }

    /// Whether steps are left.
    var hasSteps: Bool {
      levels.contains { $0.next < $0.steps.count || $0.repetitions != 0 } || waiting.contains { !$0.isEmpty }
    }

    /// Puts another script behind those that are there.
    mutating func append(_ steps: [Step]) {
      waiting.append(steps)
    }

    /// Puts steps in front of those that are left.
    mutating func insert(_ steps: [Step]) {
      levels.append(Level(group: .once, steps: steps, repetitions: 0))
    }

    /// Forgets all scripts.
    mutating func removeAll() {
      levels = []
      waiting = []
    }

    /// The next move, or nil at the end.
    mutating func advance(now: ContinuousClock.Instant) -> Move? {
      while true {
        guard let level = levels.last else {
          guard !waiting.isEmpty else { return nil }
          levels.append(Level(group: .once, steps: waiting.removeFirst(), repetitions: 0))
          continue
        }
        let top = levels.count - 1
        if level.next < level.steps.count {
          levels[top].next += 1
          let step = level.steps[level.next]
          guard case .group(let group, let steps) = step.action else { return .take(step) }
          levels.append(Self.level(group, steps, now: now))
          return .enter(group)
        }
        if level.repetitions != 0, level.deadline.map({ now < $0 }) ?? true {
          levels[top].repetitions = level.repetitions.map { $0 - 1 }
          levels[top].next = 0
          continue
        }
        levels.removeLast()
        return .leave(level.group)
      }
    }

    /// The level of a group that is entered.
    private static func level(_ group: Group, _ steps: [Step], now: ContinuousClock.Instant) -> Level {
      switch group {
      case .once, .together, .dribble, .stalled: return Level(group: group, steps: steps, repetitions: 0)
      case .times(let count):
        if let count, count <= 0 { return Level(group: group, steps: [], repetitions: 0) }
        return Level(group: group, steps: steps, repetitions: count.map { $0 - 1 })
      case .lasting(let duration): return Level(group: group, steps: steps, deadline: now + duration)
      }
    }
  }
}
