internal import Sidecar

/// Carries out a plan: creates a sidecar, uses it, ends it, and checks that everything has ended.
struct SoakCycle: Sendable {
  /// The result of a cycle.
  struct Outcome: Sendable {
    /// Descriptions of what went wrong.
    var failures: [String] = []
    /// How much longer than its bound the shutdown took; nil without one.
    var excess: Duration?
    var reports: [ShutdownReport] = []

    var wasClean: Bool { reports.allSatisfy(\.isClean) }
  }

  /// How long calls may take to return after the shutdown.
  private static let callGrace = Duration.seconds(5)
  /// How long to wait for opening and closing before the shutdown.
  private static let stepTimeout = Duration.milliseconds(300)

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
        // Answers half of the messages, for some traffic from this thread.
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
        // Waits forever. Not with Task.sleep: the runtime keeps even a cancelled sleep until its time has come.
        group.addTask { try? await sidecar.run { _ in _ = await Promise<Void>().value() } }
      }
    }
    await waitForMoment(sidecar)

    let start = ContinuousClock.now
    let report = await sidecar.shutdown(within: plan.effectiveBound)
    outcome.check(report, took: .now - start, plan.effectiveBound, slack)

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

  private func waitForMoment(_ sidecar: WebSocketSidecar) async {
    switch plan.moment {
    case .atOnce: break
    case .whenOpen: await connected(sidecar)
    case .after(let time): await pause(for: time)
    case .afterClose: _ = try? await sidecar.close(timeout: Self.stepTimeout)
    }
  }

  private func connected(_ sidecar: WebSocketSidecar) async {
    // Some faults keep connecting from ever ending.
    let waiting = Task { try? await sidecar.connected() }
    let timer = DeadlineTimer(.after(Self.stepTimeout)) { waiting.cancel() }
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
    case .whenOpen: _ = try? socket.ping(timeout: Self.stepTimeout)
    case .after(let time): blockingPause(for: time)
    case .afterClose: _ = try? socket.close(timeout: Self.stepTimeout)
    }

    let start = ContinuousClock.now
    let report = socket.shutdown(within: plan.effectiveBound)
    outcome.check(report, took: .now - start, plan.effectiveBound, slack)
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

  /// Drops the last reference. The check after the round shows whether everything ended.
  private func drop() async throws {
    let sidecar = try WebSocketSidecar(url, configuration: plan.configuration)
    await waitForMoment(sidecar)
    for message in plan.messages {
      guard (try? sidecar.trySend(message)) == true else { break }
    }
  }
}

extension SoakCycle.Outcome {
  /// Checks that a shutdown was in time.
  mutating func check(_ report: ShutdownReport, took time: Duration, _ bound: Duration, _ slack: Duration) {
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
