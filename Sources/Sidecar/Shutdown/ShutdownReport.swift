/// Says what a shutdown did: each step, how long it took, and what could not be ended in time.
///
/// ```swift
/// let report = await sidecar.shutdown(within: .seconds(5))
/// if !report.isClean { print(report) }
/// ```
public struct ShutdownReport: Hashable, Sendable {
  /// How a step ended.
  public enum Outcome: String, Hashable, Sendable {
    /// In time.
    case completed
    /// There was nothing to do.
    case notNeeded = "not needed"
    /// Its time was over, and what it waited for was given up.
    case timedOut = "timed out"
    /// The report was requested on the sidecar's own thread, which cannot wait for itself. The shutdown continues.
    case underWay = "under way"
  }

  /// One step of the shutdown.
  public struct Step: Hashable, Sendable {
    /// What the step was waiting for.
    public enum Name: String, Hashable, Sendable, CustomStringConvertible {
      /// The outbound queue written, the Close frames exchanged and the socket closed.
      case socket
      /// The tasks that were started on the sidecar ended.
      case tasks
      /// The sidecar's thread ended and joined.
      case thread

      /// The name.
      public var description: String { rawValue }
    }

    /// What the step was waiting for.
    public let name: Name
    /// How it ended.
    public let outcome: Outcome
    /// How long it took.
    public let elapsed: Duration
    /// The time from the step's start to its deadline.
    ///
    /// Deadlines count from the request. The connection has the whole bound; if tasks are running, a quarter of it, at
    /// most 250 ms, is kept for them. Tasks have 25 ms beyond the bound, and the thread 50 ms.
    public let bound: Duration
  }

  /// Something that did not end in time, and is no longer waited for.
  ///
  /// It keeps only its own memory alive, and ends by itself once it can.
  public enum Abandoned: Hashable, Sendable, CustomStringConvertible {
    /// The sidecar's thread, its own or a shared one: a closure or handler of the application does not return.
    case thread(name: String)
    /// Tasks that were started with `run` and do not react to cancellation.
    case tasks(count: Int)
    /// A look-up by the system's resolver, which cannot be stopped.
    case resolution(host: String)

    /// What was abandoned, and why.
    public var description: String {
      switch self {
      case .thread(let name): "the thread \"\(name)\", which application code blocks"
      case .tasks(let count): count == 1 ? "1 task that does not end" : "\(count) tasks that do not end"
      case .resolution(let host): "the look-up of \"\(host)\" by the system's resolver"
      }
    }
  }

  /// The steps, in order.
  public let steps: [Step]
  /// The bound that was given.
  public let bound: Duration
  /// How long it took, from the request until its callers were released. That includes the time of `onLog`, which is
  /// waited for briefly; the report in ``LogEvent/shutDown(_:)`` is made before that.
  public let elapsed: Duration
  /// How the connection ended; nil if it had not when the report was made.
  public let closeStatus: CloseStatus?
  /// How many tasks were running on the sidecar and were cancelled.
  public let cancelledTaskCount: Int
  /// What did not end in time.
  public let abandoned: [Abandoned]

  /// Whether every step ended in time, with nothing abandoned. Says nothing about the connection before the shutdown.
  public var isClean: Bool {
    abandoned.isEmpty && steps.allSatisfy { $0.outcome == .completed || $0.outcome == .notNeeded }
  }

  /// One line: how it went and how long it took.
  public var summary: String {
    let late = steps.filter { $0.outcome == .timedOut }.map(\.name.rawValue)
    let timedOut = "timed out waiting for the \(late.joined(separator: ", the "))"
    let how = isClean ? "clean" : late.isEmpty ? "not complete" : timedOut
    return "\(how) in \(elapsed.readable)"
  }
}

extension ShutdownReport: CustomStringConvertible {
  /// Several lines: the summary, each step, how the connection ended and what was abandoned.
  public var description: String {
    var lines = ["shutdown: \(summary) (bound \(bound.readable))"]
    for step in steps {
      let (name, outcome) = (step.name.rawValue.padded(to: 7), step.outcome.rawValue.padded(to: 10))
      lines.append("  \(name) \(outcome) \(step.elapsed.readable) of \(step.bound.readable)")
    }
    if let closeStatus { lines.append("  \(closeStatus)") }
    let tasks = cancelledTaskCount == 1 ? "task" : "tasks"
    if cancelledTaskCount > 0 { lines.append("  cancelled \(cancelledTaskCount) running \(tasks)") }
    for thing in abandoned { lines.append("  abandoned \(thing)") }
    return lines.joined(separator: "\n")
  }
}

extension String {
  fileprivate func padded(to width: Int) -> String {
    self + String(repeating: " ", count: max(0, width - count))
  }
}
