import Dispatch
import Glibc
import SidecarExecutor
import SidecarProtocol
import SidecarTestSupport
import SidecarTesting
import SidecarTransport
import Testing

@testable import Sidecar

/// Shutdowns while the application's code blocks threads that others share.
@Suite(.aloneWithCensus, .serialized) struct `Workers that block` {
  let bound = Duration.milliseconds(150)

  @Test func `the bound is kept although every worker of Dispatch is taken`() async throws {
    let server = try TestServer(behavior: .echo)
    let (report, elapsed) = try await onThread { [bound] in
      let workers = TakenWorkers()
      defer { workers.release() }
      let socket = try BlockingWebSocket(server.url)
      let gate = DispatchSemaphore(value: 0)
      defer { gate.signal() }
      socket.sidecar.thread.post { holdThread(gate) }
      let begin = ContinuousClock.now
      let report = socket.shutdown(within: bound)
      return (report, ContinuousClock.now - begin)
    }
    #expect(elapsed <= bound + slack, "\(report)")
    #expect(report.abandoned == [.thread(name: "sidecar")])
    await server.stop()
  }

  @Test func `work after the thread's end is done although every worker of Dispatch is taken`() async throws {
    let thread = try SidecarThread()
    #expect(await thread.shutdown())
    try await onThread { () throws -> Void in
      let workers = TakenWorkers()
      defer { workers.release() }
      #expect(try thread.postAndWait(until: .after(.seconds(5))) { thread.isCurrent })
    }
  }

  @Test func `look-ups that hang in great number do not hold up a shutdown`() async throws {
    let gate = DispatchSemaphore(value: 0)
    let (entered, left) = (Tally(), Tally())
    var configuration = WebSocketConfiguration()
    configuration.resolver = Resolver { host throws(Resolver.Failure) -> [SocketAddress] in
      entered.add()
      gate.wait()
      left.add()
      throw .resolution(ResolutionError(host: host, code: 0))
    }
    let (shared, held) = (try SidecarThread(name: "look-ups"), try SidecarThread(name: "held"))
    let count = 600
    var clients = try (0..<count).map { number in
      try WebSocketSidecar("ws://slow\(number).invalid/", configuration: configuration, on: shared)
    }
    // The others wait for one of these to end. Nothing announces that all of them are taken.
    #expect(await eventually { () async in entered.count == Resolver.capacity })
    await Task(executorPreference: shared) {}.value
    let client = try WebSocketSidecar("ws://127.0.0.1:9/", on: held)
    held.post { holdThread(gate) }
    let (report, elapsed) = try await onThread { [bound] in
      let begin = ContinuousClock.now
      let report = BlockingWebSocket(client).shutdown(within: bound)
      return (report, ContinuousClock.now - begin)
    }
    #expect(elapsed <= bound + slack, "\(report)")
    // Nor the cancelling of tasks, which takes a worker.
    let busy = try WebSocketSidecar("ws://127.0.0.1:9/")
    let hasBegun = Promise<Void>()
    let running = Task {
      try await busy.run { _ in
        hasBegun.complete(())
        try await Task.sleep(for: .seconds(600))
      }
    }
    await hasBegun.uncancellableValue()
    #expect(await busy.shutdown(within: .seconds(20)).abandoned == [])
    _ = await running.result
    for _ in 0...count { gate.signal() }
    // They are threads of the C library's, which nobody waits for.
    #expect(await eventually { () async in left.count >= Resolver.capacity })
    while let client = clients.popLast() { await client.shutdown() }
    #expect(await shared.shutdown())
    #expect(await held.shutdown())
  }

  @Test func `a cancellation handler that blocks does not hold the thread`() async throws {
    let answer = TestServer.Gate()
    let server = try TestServer(
      behavior: .script([.open, .receiveClose, .waitFor(answer), .sendClose(), .endOfStream]))
    let client = try await WebSocketSidecar.connect(to: server.url)
    let gate = DispatchSemaphore(value: 0)
    let (running, cancelling, goOn) = (Promise<Void>(), Promise<Void>(), Promise<Void>())
    let run = Task {
      try await client.run { _ in
        await withTaskCancellationHandler {
          running.complete(())
          await goOn.uncancellableValue()
        } onCancel: {
          cancelling.complete(())
          _ = gate.wait(timeout: .now() + 60)
        }
      }
    }
    await running.uncancellableValue()
    let shutdown = Task { await client.shutdown(within: .seconds(60)) }
    _ = try await server.connection().receivedClose()
    // The connection's end, which brings the cancelling of tasks, comes to the sidecar's thread.
    answer.open()
    await cancelling.uncancellableValue()
    let thread = client.thread
    #expect(try await onThread { try thread.postAndWait(until: .after(.seconds(20))) { true } })
    gate.signal()
    goOn.complete(())
    try await run.value
    let report = await shutdown.value
    #expect(report.isClean, "\(report)")
    await server.stop()
  }

  @Test func `a log that blocks while a step takes long does not make deadlines late`() async throws {
    let gate = DispatchSemaphore(value: 0)
    let (thread, count) = (try SidecarThread(name: "held"), 64)
    let holding = DispatchSemaphore(value: 0)
    thread.post { _ = holding.wait(timeout: .now() + 60) }
    let told = Promise<Void>()
    var configuration = WebSocketConfiguration()
    configuration.onLog = { event in
      guard case .shutdownWaiting = event else { return }
      told.complete(())
      _ = gate.wait(timeout: .now() + 60)
    }
    let clients = try (0..<count).map { _ in
      try WebSocketSidecar("ws://127.0.0.1:9/", configuration: configuration, on: thread)
    }
    for client in clients {
      client.requestShutdownOnly(within: .seconds(60))
      client.armShutdownTimer(in: .zero, decision: 1)
    }
    await told.uncancellableValue()
    let waited = try await onThread { () throws -> Duration in
      let begin = ContinuousClock.now
      let reached = DispatchSemaphore(value: 0)
      let timer = DeadlineTimer(.after(.milliseconds(10))) { reached.signal() }
      defer { timer.cancel() }
      _ = reached.wait(timeout: .now() + 60)
      return ContinuousClock.now - begin
    }
    #expect(waited <= .milliseconds(10) + slack)
    for _ in clients { gate.signal() }
    holding.signal()
    for client in clients { await client.shutdown() }
    #expect(await thread.shutdown())
  }
}
