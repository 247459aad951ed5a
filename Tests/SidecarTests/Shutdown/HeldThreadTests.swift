import Dispatch
import Glibc
import SidecarExecutor
import SidecarProtocol
import SidecarTestSupport
import SidecarTesting
import Testing

@testable import Sidecar

/// Shutdowns of sidecars whose thread the application holds.
@Suite(.aloneWithCensus, .serialized) struct `A shutdown of a held thread` {
  let bound = Duration.milliseconds(150)

  @Test func `a timer that is armed late does not take the place of a later one`() async throws {
    let server = try TestServer(behavior: .echo)
    let gate = DispatchSemaphore(value: 0)
    let client = try await WebSocketSidecar.held(at: server.url, until: gate)
    let (report, elapsed) = await offThePool {
      let begin = ContinuousClock.now
      client.requestShutdownOnly(within: bound)
      // What a thread does that was told to before the request's own timer was armed, and comes to it only now.
      client.armShutdownTimer(in: .seconds(600), decision: 0)
      return (await client.shutdown(), ContinuousClock.now - begin)
    }
    #expect(elapsed <= bound + slack, "\(report)")
    #expect(report.abandoned == [.thread(name: "sidecar")])
    gate.signal()
    await expectEnd(ofThreadOf: client)
    await server.stop()
  }

  @Test func `held threads are given up at once when there is no time, many times over`() async throws {
    let gate = DispatchSemaphore(value: 0)
    for _ in 0..<10 {
      let clients = try (0..<40).map { _ in try WebSocketSidecar("ws://127.0.0.1:9/") }
      for client in clients { client.thread.post { holdThread(gate) } }
      let latest = await withTaskGroup(of: Duration.self) { group in
        for client in clients { group.addTask { await client.shutdown(within: .zero).elapsed } }
        return await group.reduce(.zero) { max($0, $1) }
      }
      #expect(latest < .seconds(10), "a wake-up was lost")
      for _ in clients { gate.signal() }
      for client in clients { #expect(await client.thread.shutdown(within: patience)) }
      #expect(LiveCounts.current.threads == 0)
    }
  }

  @Test func `the request alone ends every call that waits for something to come`() async throws {
    let server = try TestServer(behavior: .echo)
    let gate = DispatchSemaphore(value: 0)
    let client = try await WebSocketSidecar.held(at: server.url, until: gate)
    let begin = ContinuousClock.now
    // Beside it on the held thread: not even begun to connect.
    let unopened = try WebSocketSidecar(server.url, on: client.thread)
    let connecting = Task.immediate { try await unopened.connected() }
    let sending = Task.immediate { try await unopened.send("x") }
    let receiving = Task.immediate { try await client.receive() }
    for sidecar in [client, unopened] {
      sidecar.requestShutdownOnly(within: .seconds(60))
      #expect(throws: WebSocketError.closed(nil)) { try sidecar.trySend("x") }
    }
    await #expect(throws: WebSocketError.closed(nil)) { try await connecting.value }
    await #expect(throws: WebSocketError.closed(nil)) { try await sending.value }
    #expect(ContinuousClock.now - begin < .seconds(10), "the thread was still held")
    gate.signal()
    // A receiver is told when it is known how the connection ended, which the shutdown bounds.
    #expect(try await receiving.value == nil)
    #expect(client.closeStatus != nil)
    await unopened.shutdown()
    await client.shutdown()
    await server.stop()
  }

  @Test func `the first request of several counts, and no task begins after it`() async throws {
    let server = try TestServer(behavior: .echo)
    let gate = DispatchSemaphore(value: 0)
    let client = try await WebSocketSidecar.held(at: server.url, until: gate)
    client.requestShutdownOnly(within: .seconds(60))
    await #expect(throws: WebSocketError.closed(nil)) { try await client.run { _ in } }
    client.requestShutdownOnly(within: .zero)
    #expect(client.reportSoFar.bound == .seconds(60))
    gate.signal()
    let report = await client.shutdown(within: .zero)
    #expect(report.bound == .seconds(60))
    #expect(report.isClean, "\(report)")
    await server.stop()
  }

  @Test func `a later request that blocks waits no longer than the first one`() async throws {
    let server = try TestServer(behavior: .echo)
    let gate = DispatchSemaphore(value: 0)
    let client = try await WebSocketSidecar.held(at: server.url, until: gate)
    client.requestShutdownOnly(within: .milliseconds(20))
    let report = try await onThread { BlockingWebSocket(client).shutdown(within: .seconds(600)) }
    #expect(!client.thread.hasEnded)
    #expect(report.bound == .milliseconds(20))
    #expect(report.abandoned == [.thread(name: client.thread.name)])
    gate.signal()
    await expectEnd(ofThreadOf: client)
    await server.stop()
  }

  // MARK: The stack of a thread

  @Test func `the stack of an abandoned thread is freed although the application keeps the sidecar`() async {
    // In a process of its own: stacks are the process's. Ended without LeakSanitizer, which does not see what a task
    // keeps.
    await #expect(processExitsWith: .success) {
      let before = ProcessCensus.threadStacks()
      var kept: [WebSocketSidecar] = []
      for _ in 0..<40 {
        // One for each: the next thread could take the signal that is meant for the last.
        let gate = DispatchSemaphore(value: 0)
        let client = try WebSocketSidecar("ws://127.0.0.1:9/")
        client.thread.post { holdThread(gate) }
        await client.shutdown(within: .zero)
        gate.signal()
        kept.append(client)
      }
      for client in kept {
        guard await client.thread.shutdown(within: patience) else { _exit(2) }
      }
      guard LiveCounts.current.threads == 0 else { _exit(5) }
      // The C library keeps a few for later, and frees the others when it comes to that.
      guard eventually(within: .seconds(5), { ProcessCensus.threadStacks() < before + 20 }) else { _exit(3) }
      _exit(kept.count == 40 ? 0 : 4)
    }
  }

  @Test func `the shutdown frees the stack of a thread although the application keeps the sidecar`() async {
    // In a process of its own: stacks are the process's. Ended without LeakSanitizer, which does not see what a task
    // keeps.
    await #expect(processExitsWith: .success) {
      var kept: [WebSocketSidecar] = []
      for isBlocking in [false, true] {
        let before = ProcessCensus.threadStacks()
        for _ in 0..<40 {
          let client = try WebSocketSidecar("ws://127.0.0.1:9/")
          if isBlocking {
            _ = try await onThread { BlockingWebSocket(client).shutdown() }
          } else {
            await client.shutdown()
          }
          kept.append(client)
        }
        // The C library keeps a few for later, and frees the others when it comes to that.
        guard eventually(within: .seconds(5), { ProcessCensus.threadStacks() < before + 20 }) else {
          _exit(isBlocking ? 3 : 2)
        }
      }
      _exit(kept.count == 80 ? 0 : 4)
    }
  }
}
