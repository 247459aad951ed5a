internal import SidecarExecutor

extension TestServer {
  /// Walks through scripts and their groups, one move at a time. Carries nothing out, and has no clock.
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
      /// How often the steps are repeated after this round; nil without end.
      var repetitions: Int?
      var deadline: MonotonicInstant?
    }

    private var levels: [Level] = []
    /// Scripts that have not begun.
    private var queued: [[Step]] = []

    init(_ steps: [Step]) {
      append(steps)
    }

    /// True while steps are left.
    var hasSteps: Bool {
      levels.contains { $0.next < $0.steps.count || $0.repetitions != 0 } || queued.contains { !$0.isEmpty }
    }

    /// Appends a script.
    mutating func append(_ steps: [Step]) {
      queued.append(steps)
    }

    /// Inserts steps before those that are left.
    mutating func insert(_ steps: [Step]) {
      levels.append(Level(group: .once, steps: steps, repetitions: 0))
    }

    /// Removes all scripts.
    mutating func removeAll() {
      levels = []
      queued = []
    }

    /// Makes the next move.
    ///
    /// - Parameter now: The time, for groups that last for a duration.
    /// - Returns: The move; nil when no steps are left.
    mutating func advance(now: MonotonicInstant) -> Move? {
      while true {
        guard let level = levels.last else {
          guard !queued.isEmpty else { return nil }
          levels.append(Level(group: .once, steps: queued.removeFirst(), repetitions: 0))
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

    /// Makes the level of a group that is entered.
    private static func level(_ group: Group, _ steps: [Step], now: MonotonicInstant) -> Level {
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
