import Sidecar

/// Connections that come and go, and connections that do nothing.
struct Connections {
  let options: Options

  /// From a plain thread: connect, shake hands, close in order, one after the other. Notes how long each shutdown took.
  func cycles(_ count: Int) throws -> Run {
    let thread = options.api == "shared-thread" ? try SidecarThread(name: "shared") : nil
    var shutdowns: [UInt64] = []
    shutdowns.reserveCapacity(count)
    var run = Run()
    for _ in 0..<count {
      let socket = try BlockingWebSocket(options.url("/idle"), on: thread)
      let begin = Run.now()
      let report = socket.shutdown()
      shutdowns.append(Run.now() - begin)
      guard report.isClean, report.closeStatus?.wasClean == true else { throw BenchError("not clean: \(report)") }
    }
    run.take(cycles: count, shutdowns: shutdowns)
    return run
  }

  /// Opens connections one after the other and leaves them alone: how much memory each of them takes.
  func idle() async throws -> Run {
    let thread = options.api == "shared-thread" ? try SidecarThread(name: "shared") : nil
    // What the process needs for its first connection, it does not need for the others.
    let first = try await WebSocketSidecar.connect(to: options.url("/idle"), on: thread)
    var sidecars = [first]
    sidecars.reserveCapacity(options.count + 1)
    let before = Run.status("VmRSS")
    var run = Run()
    for _ in 0..<options.count {
      sidecars.append(try await WebSocketSidecar.connect(to: options.url("/idle"), on: thread))
    }
    run.take(idle: options.count, residentBefore: before)
    await withTaskGroup(of: Void.self) { group in
      for sidecar in sidecars { group.addTask { await sidecar.shutdown(within: .seconds(30)) } }
    }
    return run
  }

  /// One busy connection on a thread, among `count` idle ones and alone: how much of its rate it keeps.
  ///
  /// The idle ones are opened, each gets its Pong, and all are shut down together. Alone it is measured before they
  /// come and after they have gone, because a shared machine may be twice as fast some seconds later.
  func crowd() async throws -> Run {
    let thread = try SidecarThread(name: "shared")
    let count = options.count
    _ = try await busyRate(on: thread)
    let before = try await medianBusyRate(on: thread)

    var run = Run()
    var sidecars: [WebSocketSidecar] = []
    for _ in 0..<count { sidecars.append(try await WebSocketSidecar.connect(to: options.url("/idle"), on: thread)) }
    let opened = Run.now()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for sidecar in sidecars { group.addTask { _ = try await sidecar.ping(timeout: .seconds(30)) } }
      try await group.waitForAll()
    }
    let answered = Run.now()
    let crowded = try await medianBusyRate(on: thread)
    let begin = Run.now()
    let notClean = await withTaskGroup(of: Bool.self) { group in
      for sidecar in sidecars { group.addTask { await sidecar.shutdown(within: .seconds(30)).isClean } }
      return await group.reduce(0) { $0 + ($1 ? 0 : 1) }
    }
    let ended = Run.now()
    guard notClean == 0 else { throw BenchError("\(notClean) of \(count) shutdowns were not clean") }
    let alone = (before + (try await medianBusyRate(on: thread))) / 2
    run.take(
      crowd: count,
      figures: [
        ("share", crowded / alone), ("alone_per_s", alone),
        ("open_us", Double(opened - run.begin) / 1e3), ("pong_us", Double(answered - opened) / 1e3),
        ("shutdown_us", Double(ended - begin) / 1e3),
      ])
    return run
  }

  private func medianBusyRate(on thread: SidecarThread) async throws -> Double {
    var rates: [Double] = []
    for _ in 0..<5 { rates.append(try await busyRate(on: thread)) }
    return rates.sorted()[rates.count / 2]
  }

  /// Messages a second of a fire-hose on `thread`.
  private func busyRate(on thread: SidecarThread) async throws -> Double {
    let count = 2_000_000
    let sidecar = try await WebSocketSidecar.connect(to: options.hose(count), on: thread)
    var received = 0
    let begin = Run.now()
    for try await _ in sidecar.inbound {
      received += 1
      if received == count { break }
    }
    let seconds = Double(Run.now() - begin) / 1e9
    await sidecar.shutdown()
    guard received == count else { throw BenchError("\(received) messages instead of \(count)") }
    return Double(count) / seconds
  }
}
