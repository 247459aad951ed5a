internal import Glibc
internal import Sidecar

/// Runs the cycles of a soak, several at once, in rounds. Between two rounds nothing runs, and nothing may be left
/// over.
final class SoakRun: Sendable {
  struct Settings: Sendable {
    var seed: UInt64 = 0
    /// The numbers of the cycles to run; unbounded if only the time counts.
    var numbers = 0..<Int.max
    var time: Duration?
    var parallel = 8
    var cyclesPerRound = 250
    var warmUp = 250
    /// How much longer than its bound a shutdown may take.
    var slack = Duration.milliseconds(100)
    /// How many threads the process may have between two rounds; nil for some more than after the warm-up.
    var threadsLimit: Int?
    /// How many bytes more than after the warm-up may be resident.
    var memoryTolerance = 64 << 20
    /// How many bytes more than after the warm-up may be allocated.
    var heapTolerance = 4 << 20
    /// Whether to show the report of every shutdown.
    var showsReports = false
  }

  /// The results so far.
  struct Tally: Sendable {
    var cycles = 0
    var uses: [SoakPlan.Use: Int] = [:]
    var shutdowns = 0
    var cleanShutdowns = 0
    /// On a busy machine a thread or task may not end in time. It must have ended by the next check.
    var shutdownsWithAbandoned = 0
    var worstExcess = Duration.zero
    var checks = 0
    var mostResident = 0
    /// Each with the number of its cycle, if it belongs to one.
    var failures: [(cycle: Int?, text: String)] = []
  }

  /// A cycle that takes this much longer than its bound has hung.
  private static let hangTimeout = Duration.seconds(60)
  /// How long dropped sidecars and the runtime's own threads may take to end.
  private static let settlingTime = Duration.seconds(10)
  /// Dispatch and the cooperative thread pool keep some threads and end them at will.
  private static let poolAllowance = 16

  private struct State {
    var next: Int
    /// The first number of the next round.
    var roundEnd = 0
    var running: [Int: (plan: SoakPlan, since: ContinuousClock.Instant)] = [:]
    var tally = Tally()
    var baseline: ProcessStats?
    var lastCensus: ProcessStats?
  }

  private let settings: Settings
  private let stop: StopFlag
  private let progress: ProgressLine
  private let began = ContinuousClock.now
  private let state: Locked<State>

  init(_ settings: Settings, stop: StopFlag, progress: ProgressLine) {
    self.settings = settings
    self.stop = stop
    self.progress = progress
    state = Locked(State(next: settings.numbers.lowerBound))
  }

  var tally: Tally { state.withLock { $0.tally } }
  /// The process's resources after the warm-up.
  var baseline: ProcessStats? { state.withLock { $0.baseline } }
  /// The process's resources at the last check.
  var lastCensus: ProcessStats? { state.withLock { $0.lastCensus } }
  var elapsed: Duration { .now - began }

  /// Runs until the time or the cycles are used up, the user stops it, or a check fails.
  func run() async throws {
    let isOver = Promise<Void>()
    try startThread("soak-progress") { self.showProgress(until: isOver) }
    defer {
      isOver.complete(())
      progress.clear()
    }
    var isWarm = false
    while !isDone {
      let length = isWarm ? settings.cyclesPerRound : settings.warmUp
      state.withLock { $0.roundEnd = min($0.next + length, settings.numbers.upperBound) }
      try await runRound()
      // The first check only records what the others compare with.
      guard await check() else { return }
      isWarm = true
    }
  }

  private var isDone: Bool {
    if stop.isRaised { return true }
    if let time = settings.time, elapsed >= time { return true }
    return state.withLock { $0.next >= settings.numbers.upperBound }
  }

  // MARK: Rounds

  private func runRound() async throws {
    let targets = try SoakTargets()
    try await withThrowingTaskGroup { group in
      for _ in 0..<settings.parallel {
        group.addTask { [self] in
          while let plan = takePlan() {
            let outcome = try await SoakCycle(plan: plan, url: targets.url(for: plan.fault), slack: settings.slack)
              .run()
            record(outcome, of: plan)
          }
        }
      }
      try await group.waitForAll()
    }
    if await !targets.stop() { fail("the server could not be stopped") }
  }

  private func takePlan() -> SoakPlan? {
    let timeIsOver = stop.isRaised || settings.time.map { elapsed >= $0 } ?? false
    return state.withLock { state in
      guard !timeIsOver, state.next < state.roundEnd else { return nil }
      let plan = SoakPlan(seed: settings.seed, number: state.next)
      state.next += 1
      state.running[plan.number] = (plan, .now)
      return plan
    }
  }

  private func record(_ outcome: SoakCycle.Outcome, of plan: SoakPlan) {
    if settings.showsReports {
      for report in outcome.reports { Terminal.output.write("\(report)\n") }
    }
    state.withLock { state in
      state.running[plan.number] = nil
      state.tally.cycles += 1
      state.tally.uses[plan.use, default: 0] += 1
      if let excess = outcome.excess {
        state.tally.shutdowns += 1
        if outcome.wasClean { state.tally.cleanShutdowns += 1 }
        if outcome.reports.contains(where: { !$0.abandoned.isEmpty }) { state.tally.shutdownsWithAbandoned += 1 }
        state.tally.worstExcess = max(state.tally.worstExcess, excess)
      }
      state.tally.failures += outcome.failures.map { (plan.number, "\($0) (\(plan))") }
    }
  }

  private func fail(_ text: String) {
    state.withLock { $0.tally.failures.append((nil, text)) }
  }

  // MARK: Between two rounds

  /// Compares the process's resources with those after the warm-up; returns false if there are more.
  private func check() async -> Bool {
    let baseline = baseline
    let deadline = Deadline.after(Self.settlingTime)
    ProcessStats.trimMemory()
    var census = ProcessStats.take()
    while !drift(census, since: baseline).isEmpty, !deadline.hasPassed {
      // The kernel and the pools announce nothing, so this polls.
      await pause(for: .milliseconds(10))
      ProcessStats.trimMemory()
      census = ProcessStats.take()
    }
    let drift = drift(census, since: baseline)
    state.withLock { state in
      state.lastCensus = census
      state.baseline = baseline ?? census
      state.tally.checks += 1
      state.tally.mostResident = max(state.tally.mostResident, census.residentBytes)
    }
    for text in drift { fail(text) }
    return drift.isEmpty
  }

  private func drift(_ census: ProcessStats, since baseline: ProcessStats?) -> [String] {
    var drift: [String] = []
    if !census.alive.isEmpty { drift.append("still alive between two rounds: \(census.alive)") }
    if census.sidecarThreads > 0 { drift.append("\(census.sidecarThreads) threads of sidecars still exist") }
    let threadsLimit = settings.threadsLimit ?? baseline.map { $0.threads + Self.poolAllowance }
    if let threadsLimit, census.threads > threadsLimit {
      drift.append("\(census.threads) threads, the limit is \(threadsLimit)")
    }
    guard let baseline else { return drift }
    if census.descriptors > baseline.descriptors {
      drift.append("\(census.descriptors) descriptors, \(baseline.descriptors) after the warm-up")
    }
    if census.residentBytes > baseline.residentBytes + settings.memoryTolerance {
      let before = Formatting.memory(baseline.residentBytes)
      drift.append("\(Formatting.memory(census.residentBytes)) of memory resident, \(before) after the warm-up")
    }
    if census.heapBytes > baseline.heapBytes + settings.heapTolerance {
      let before = Formatting.memory(baseline.heapBytes)
      drift.append("\(Formatting.memory(census.heapBytes)) of memory allocated, \(before) after the warm-up")
    }
    return drift
  }

  // MARK: Progress

  @available(*, noasync)
  private func showProgress(until isOver: Promise<Void>) {
    while isOver.wait(until: .after(.milliseconds(100))) == nil { tick() }
  }

  private func tick() {
    let now = ContinuousClock.now
    let (tally, hanging) = state.withLock { state in
      (
        state.tally,
        state.running.values.first { now - $0.since > $0.plan.effectiveBound + Self.hangTimeout }
      )
    }
    if let hanging {
      // A cycle that hangs cannot be cleaned up: report it and exit.
      progress.clear()
      Terminal.error.write(
        "sidecar soak: cycle \(hanging.plan.number) hangs (\(hanging.plan)); seed \(settings.seed)\n")
      _exit(ExitCode.failure.rawValue)
    }
    let goal = settings.time.map { " of \($0.readable)" } ?? ""
    let failures = tally.failures.isEmpty ? "" : "   \(tally.failures.count) FAILURES"
    progress.show(
      "\(Formatting.count(tally.cycles)) cycles in \(elapsed.readable)\(goal)   alive: \(LiveCounts.current)   "
        + Formatting.memory(ProcessStats.residentBytes) + failures)
  }
}
