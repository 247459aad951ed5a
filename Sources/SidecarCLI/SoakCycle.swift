internal import Sidecar

/// Carries out a plan: makes a sidecar, uses it, ends it, and looks whether everything came to an end.
struct SoakCycle: Sendable {
  /// What came of a cycle.
  struct Outcome: Sendable {
    /// What should not have happened.
    var failures: [String] = []
    /// How much longer than its bound the shutdown took; nil without one.
    var excess: Duration?
    var reports: [ShutdownReport] = []

    var wasClean: Bool { reports.allSatisfy(\.isClean) }
  }

  /// How long calls may take to end after the shutdown that ends them.
  private static let callGrace = Duration.seconds(5)
  /// How long opening and closing are waited for, before the shutdown.
  private static let momentPatience = Duration.milliseconds(300)

  let plan: SoakPlan
  let url: String
  /// How much longer than its bound a shutdown may take.
  let slack: Duration

  func run() async throws -> Outcome {
    switch plan.use {
    case .async:
      return await use(try WebSocketSidecar(url, configuration: plan.configuration))
    case .handler:
      let handler: MessageHandler = { sidecar, kind, bytes in
        // Half of what comes is answered, for some traffic from this thread.
        if bytes.byteCount.isMultiple(of: 2) { _ = try? sidecar.trySend(kind, bytes) }
      }
      return await use(try WebSocketSidecar(url, configuration: plan.configuration, handler: handler))
    case .shared:
      let thread = try SidecarThread(name: ProcessStats.threadName)
      return try await withThrowingTaskGroup(of: Outcome.self) { group in
        for _ in 0..<3 {
          group.addTask { await use(try WebSocketSidecar(url, configuration: plan.configuration, on: thread)) }
        }
        return try await group.reduce(into: Outcome()) { $0.add($1) }
      }
    case .blocking:
      let sidecar = try WebSocketSidecar(url, configuration: plan.configuration)
      return try await onThread("soak") { try useBlocking(BlockingWebSocket(sidecar)) }
    case .dropped:
      try await drop()
      return Outcome()
    }
  }

  // MARK: Async

  private func use(_ sidecar: WebSocketSidecar) async -> Outcome {
    var outcome = Outcome()
    let mismatch = Promise<String>()
    let calls = Task {
      await withTaskGroup { group in
        group.addTask { for message in plan.messages where (try? await sidecar.send(message)) == nil { return } }
        group.addTask { await receive(from: sidecar, mismatch) }
        group.addTask { _ = try? await sidecar.ping() }
        guard plan.hasRunningTask else { return }
        // Waits for what never comes, and not by sleeping: the runtime keeps a sleep, cancelled or not, until its time.
        group.addTask { try? await sidecar.run { _ in _ = await Promise<Void>().value() } }
      }
    }
    await untilMoment(sidecar)

    let start = ContinuousClock.now
    let report = await sidecar.shutdown(within: plan.patientBound)
    outcome.judge(report, took: .now - start, plan.patientBound, slack)

    let ended = Promise<Void>()
    Task {
      await calls.value
      ended.complete(())
    }
    if case .value = await ended.value(until: .after(Self.callGrace)) {
    } else {
      outcome.failures.append("calls had not ended \(Self.callGrace.readable) after the shutdown")
    }
    if (try? await sidecar.send("late", timeout: .zero)) != nil {
      outcome.failures.append("a message was taken after the shutdown")
    }
    if let mismatch = mismatch.current { outcome.failures.append(mismatch) }
    return outcome
  }

  private func receive(from sidecar: WebSocketSidecar, _ mismatch: Promise<String>) async {
    var expected = plan.messages[...]
    while let message = (try? await sidecar.receive()) ?? nil {
      guard plan.fault.echoes, plan.use != .handler else { continue }
      if message != expected.popFirst() { mismatch.complete("an echo was not what was sent") }
    }
  }

  private func untilMoment(_ sidecar: WebSocketSidecar) async {
    switch plan.moment {
    case .atOnce: break
    case .whenOpen: await connected(sidecar)
    case .after(let time): try? await Task.sleep(for: time)
    case .afterClose: _ = try? await sidecar.close(timeout: Self.momentPatience)
    }
  }

  private func connected(_ sidecar: WebSocketSidecar) async {
    // Connecting may hang, by the server's doing.
    let waiting = Task { try? await sidecar.connected() }
    let timer = DeadlineTimer(.after(Self.momentPatience)) { waiting.cancel() }
    _ = await waiting.value
    timer.cancel()
  }

  // MARK: Blocking

  @available(*, noasync)
  private func useBlocking(_ socket: BlockingWebSocket) throws -> Outcome {
    var outcome = Outcome()
    let mismatch = Promise<String>()
    let calls = [Promise<Void>(), Promise<Void>(), Promise<Void>()]
    try startThread("soak-send") {
      for message in plan.messages where (try? socket.send(message)) == nil { break }
      calls[0].complete(())
    }
    try startThread("soak-receive") {
      var expected = plan.messages[...]
      while let message = (try? socket.receive()) ?? nil {
        if plan.fault.echoes, message != expected.popFirst() { mismatch.complete("an echo was not what was sent") }
      }
      calls[1].complete(())
    }
    try startThread("soak-ping") {
      _ = try? socket.ping()
      calls[2].complete(())
    }
    switch plan.moment {
    case .atOnce: break
    case .whenOpen: _ = try? socket.ping(timeout: Self.momentPatience)
    case .after(let time): _ = Promise<Void>().wait(until: .after(time))
    case .afterClose: _ = try? socket.close(timeout: Self.momentPatience)
    }

    let start = ContinuousClock.now
    let report = socket.shutdown(within: plan.patientBound)
    outcome.judge(report, took: .now - start, plan.patientBound, slack)
    let deadline = Deadline.after(Self.callGrace)
    if calls.contains(where: { $0.wait(until: deadline) == nil }) {
      outcome.failures.append("calls had not ended \(Self.callGrace.readable) after the shutdown")
    }
    if (try? socket.send("late", timeout: .zero)) != nil {
      outcome.failures.append("a message was taken after the shutdown")
    }
    if let mismatch = mismatch.current { outcome.failures.append(mismatch) }
    return outcome
  }

  // MARK: Dropped

  /// Lets go of the last reference; whether everything has ended then shows at the next census.
  private func drop() async throws {
    let sidecar = try WebSocketSidecar(url, configuration: plan.configuration)
    await untilMoment(sidecar)
    for message in plan.messages {
      guard (try? sidecar.trySend(message)) == true else { break }
    }
  }
}

extension SoakCycle.Outcome {
  /// Looks at a shutdown: was it in time, and is nothing left?
  mutating func judge(_ report: ShutdownReport, took time: Duration, _ bound: Duration, _ slack: Duration) {
    let excess = time - bound
    self.excess = max(self.excess ?? excess, excess)
    reports.append(report)
    if excess > slack { failures.append("the shutdown took \(time.readable) instead of \(bound.readable)") }
  }

  mutating func add(_ other: SoakCycle.Outcome) {
    failures += other.failures
    if let excess = other.excess { self.excess = max(self.excess ?? excess, excess) }
    reports += other.reports
  }
}
