import Sidecar

/// Connections that come and go, and connections that do nothing.
struct Connections {
  let options: Options

  /// From a plain thread: connect, shake hands, close in order, one after the other.
  func cycles(_ count: Int) throws -> Run {
    let thread = options.api == "shared-thread" ? try SidecarThread(name: "shared") : nil
    var run = Run()
    for _ in 0..<count {
      let socket = try BlockingWebSocket(options.url("/idle"), on: thread)
      let report = socket.shutdown()
      guard report.isClean, report.closeStatus?.wasClean == true else { throw BenchError("not clean: \(report)") }
    }
    run.take(cycles: count)
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
}
