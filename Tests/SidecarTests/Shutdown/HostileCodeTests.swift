import Dispatch
import SidecarExecutor
import SidecarTesting
import SidecarTestSupport
import Testing

@testable import Sidecar

/// Promise 2 against the application's own code: what does not end is abandoned, named, and harmless when it wakes up.
@Suite(.aloneWithCensus, .serialized) struct `Hostile code` {
  let bound = Duration.milliseconds(150)

  /// Shuts down, and checks that the time was kept.
  private func shutDown(_ client: WebSocketSidecar) async -> ShutdownReport {
    let (report, elapsed) = await offThePool {
      let begin = ContinuousClock.now
      return (await client.shutdown(within: bound), ContinuousClock.now - begin)
    }
    #expect(elapsed <= bound + slack, "\(report)")
    return report
  }

  @Test func `a closure that holds the thread is abandoned with it, and can return later`() async throws {
    let server = try TestServer(behavior: .echo)
    let gate = DispatchSemaphore(value: 0)
    let entered = Promise<Void>()
    let client = try await WebSocketSidecar.connect(to: server.url)
    let waiting = Task { try await client.receive() }
    let running = Task {
      try await client.run { _ in
        entered.complete(())
        hold(gate)
      }
    }
    _ = await entered.uncancellableValue()
    // Not before: it would be answered.
    let pinging = Task { try await client.ping() }
    let closing = Task { try await client.close(timeout: .seconds(60)) }

    let report = await shutDown(client)
    #expect(report.abandoned == [.tasks(count: 1), .thread(name: "sidecar")])
    #expect(!report.isClean)
    // Every call has ended, although the thread has not.
    #expect(try await waiting.value == nil)
    await #expect(throws: WebSocketError.self) { try await pinging.value }
    await #expect(throws: WebSocketError.closed(nil)) { try await running.value }
    #expect(try await closing.value.error == .timedOut(.closingHandshake))
    // The peer has seen the end of the stream, although the descriptor is still the thread's.
    _ = try await server.connection().ended()

    gate.signal()
    await expectEnd(ofThreadOf: client)
    await server.stop()
  }

  @Test func `a message handler that holds the thread is abandoned with it`() async throws {
    let server = try TestServer(behavior: .fireHose(message: "x"))
    let gate = DispatchSemaphore(value: 0)
    let entered = Promise<Void>()
    let client = try await WebSocketSidecar.connect(to: server.url) { _, _, _ in
      if entered.complete(()) { hold(gate) }
    }
    _ = await entered.uncancellableValue()
    let report = await shutDown(client)
    #expect(report.abandoned == [.thread(name: "sidecar")])
    gate.signal()
    await expectEnd(ofThreadOf: client)
    await server.stop()
  }

  @Test func `a task that ignores its cancellation is abandoned, and can end later`() async throws {
    let server = try TestServer(behavior: .echo)
    let client = try await WebSocketSidecar.connect(to: server.url)
    let (hasBegun, gate) = (Promise<Void>(), Promise<Void>())
    let ended = Promise<Bool>()
    let running = Task {
      try await client.run { sidecar in
        hasBegun.complete(())
        await gate.uncancellableValue()
        // The thread is gone by now, but not the isolation.
        ended.complete(sidecar.thread.isCurrent)
      }
    }
    await hasBegun.uncancellableValue()
    let report = await shutDown(client)
    #expect(report.abandoned == [.tasks(count: 1)])
    #expect(report.cancelledTaskCount == 1)
    await #expect(throws: WebSocketError.closed(nil)) { try await running.value }
    gate.complete(())
    #expect(await ended.uncancellableValue())
    await server.stop()
  }

  @Test func `a task that never suspends is abandoned together with the thread`() async throws {
    let server = try TestServer(behavior: .echo)
    let client = try await WebSocketSidecar.connect(to: server.url)
    let (hasBegun, goesOn) = (Promise<Void>(), Latch())
    let running = Task {
      try await client.run { _ in
        hasBegun.complete(())
        while goesOn.isOpen {}
      }
    }
    await hasBegun.uncancellableValue()
    let report = await shutDown(client)
    #expect(report.abandoned == [.tasks(count: 1), .thread(name: "sidecar")])
    await #expect(throws: WebSocketError.closed(nil)) { try await running.value }
    goesOn.close()
    await expectEnd(ofThreadOf: client)
    await server.stop()
  }

  @Test func `a task that yields for ever does not keep the thread from ending`() async throws {
    let server = try TestServer(behavior: .echo)
    let client = try await WebSocketSidecar.connect(to: server.url)
    let (hasBegun, goesOn) = (Promise<Void>(), Latch())
    let running = Task {
      try await client.run { _ in
        hasBegun.complete(())
        while goesOn.isOpen { await Task.yield() }
      }
    }
    await hasBegun.uncancellableValue()
    let report = await shutDown(client)
    #expect(report.abandoned.contains(.tasks(count: 1)))
    await #expect(throws: WebSocketError.closed(nil)) { try await running.value }
    // In time, unless the machine is too busy to give it a turn within the grace.
    await expectEnd(ofThreadOf: client)
    goesOn.close()
    await server.stop()
  }

  @Test func `a cancellation handler that blocks does not hold up the shutdown`() async throws {
    let server = try TestServer(behavior: .echo)
    let client = try await WebSocketSidecar.connect(to: server.url)
    let gate = DispatchSemaphore(value: 0)
    let hasBegun = Promise<Void>()
    let running = Task {
      try await client.run { _ in
        await withTaskCancellationHandler {
          hasBegun.complete(())
          _ = await Promise<Void>().value(until: .after(.seconds(60)))
        } onCancel: {
          hold(gate)
        }
      }
    }
    await hasBegun.uncancellableValue()
    _ = await shutDown(client)
    gate.signal()
    _ = await running.result
    await expectEnd(ofThreadOf: client)
    await server.stop()
  }

  @Test func `a log that blocks does not hold up the shutdown`() async throws {
    let server = try TestServer(behavior: .echo)
    let gate = DispatchSemaphore(value: 0)
    var configuration = WebSocketConfiguration()
    configuration.onLog = { event in if case .connectionEnded = event { hold(gate) } }
    let client = try await WebSocketSidecar.connect(to: server.url, configuration: configuration)
    let report = await shutDown(client)
    #expect(report.abandoned == [.thread(name: "sidecar")])
    gate.signal()
    await expectEnd(ofThreadOf: client)
    await server.stop()
  }

  @Test func `a log that blocks at the last line does not hold up the shutdown`() async throws {
    let server = try TestServer(behavior: .echo)
    let gate = DispatchSemaphore(value: 0)
    var configuration = WebSocketConfiguration()
    configuration.onLog = { event in if case .shutDown = event { _ = gate.wait(timeout: .now() + 60) } }
    let client = try await WebSocketSidecar.connect(to: server.url, configuration: configuration)
    let report = await shutDown(client)
    #expect(report.isClean, "\(report)")
    gate.signal()
    await server.stop()
  }

  @Test func `a closure that holds a shared thread is named, and every call on the sidecar ends`() async throws {
    let server = try TestServer(behavior: .echo)
    let gate = DispatchSemaphore(value: 0)
    let entered = Promise<Void>()
    let thread = try SidecarThread(name: "shared")
    let client = try await WebSocketSidecar.connect(to: server.url, on: thread)
    let waiting = Task { try await client.receive() }
    thread.post {
      entered.complete(())
      hold(gate)
    }
    _ = await entered.uncancellableValue()
    let report = await shutDown(client)
    #expect(report.abandoned == [.thread(name: "shared")])
    #expect(try await waiting.value == nil)
    #expect(client.closeStatus?.error == .timedOut(.closingHandshake))
    gate.signal()
    #expect(LiveCounts.current.sidecars == 0)
    #expect(await thread.shutdown())
    await server.stop()
  }

  @Test func `a consumer that never reads does not hold up the shutdown`() async throws {
    let server = try TestServer(behavior: .fireHose(message: .binary(Array(repeating: 1, count: 1000))))
    let client = try await WebSocketSidecar.connect(to: server.url)
    var iterator = client.inbound.makeAsyncIterator()
    #expect(try await iterator.next() != nil)
    #expect(await client.inboxFills())
    let report = await shutDown(client)
    #expect(report.isClean, "the peer's Close is found after the flood\n\(report)")
    #expect(try await iterator.next() == nil)
    await server.stop()
  }

  @Test func `unread messages can still be received if that was asked for`() async throws {
    let server = try TestServer(behavior: .script([.open, .send("one"), .send("two"), .receiveClose, .sendClose()]))
    let client = try await WebSocketSidecar.connect(to: server.url)
    #expect(try await client.receive() == "one")
    #expect(await client.messagesArrive(1))
    await client.shutdown(within: bound, keepingUnread: true)
    #expect(try await client.receive() == "two")
    #expect(try await client.receive() == nil)
    await server.stop()
  }

  @Test func `a shutdown within the message handler ends the handler's calls`() async throws {
    let server = try TestServer(behavior: .fireHose(message: "x"))
    let calls = Tally()
    let client = try await WebSocketSidecar.connect(to: server.url) { sidecar, _, _ in
      if calls.add() == 10 { blockingShutdown(sidecar) }
    }
    let report = await client.reported()
    #expect(report.isClean, "\(report)")
    #expect(calls.count == 10)
    await client.shutdown()
    await server.stop()
  }

  @Test func `a blocking call in the handler throws instead of deadlocking`() async throws {
    let server = try TestServer(behavior: .script([.open, .send("x")]))
    let caught = Promise<[WebSocketError]>()
    let client = try await WebSocketSidecar.connect(to: server.url) { sidecar, _, _ in
      caught.complete(errorsOfBlockingCalls(BlockingWebSocket(sidecar), server.url))
    }
    let errors = await caught.uncancellableValue()
    #expect(errors == Array(repeating: .blockedSidecarThread, count: 6))
    await client.shutdown()
    await server.stop()
  }
}

private func hold(_ gate: DispatchSemaphore) { gate.wait() }

private func blockingShutdown(_ sidecar: WebSocketSidecar) {
  BlockingWebSocket(sidecar).shutdown(within: .seconds(20))
}

private func errorsOfBlockingCalls(_ socket: BlockingWebSocket, _ url: String) -> [WebSocketError] {
  let calls: [() throws -> Void] = [
    { try socket.send("x") },
    { _ = try socket.receive() },
    { try socket.ping() },
    { try socket.close() },
    { try socket.run { _ in } },
    { _ = try BlockingWebSocket(url) },
  ]
  return calls.compactMap { call in
    do { try call() } catch { return error as? WebSocketError }
    return nil
  }
}
