import SidecarExecutor
import SidecarProtocol
import SidecarTestSupport
import SidecarTesting
import Testing

@testable import Sidecar

/// Tasks that run on a sidecar, and their end.
@Suite(.aloneWithCensus, .serialized) struct `Tasks of a sidecar` {
  @Test func `cancelling the caller of run cancels the work, and so does its deadline`() async throws {
    let server = try TestServer(behavior: .echo)
    let client = try await WebSocketSidecar.connect(to: server.url)
    let hasBegun = Promise<Void>()
    let calling = Task {
      try await client.run { _ in
        hasBegun.complete(())
        try await Task.sleep(for: .seconds(600))
      }
    }
    await hasBegun.uncancellableValue()
    calling.cancel()
    await #expect(throws: CancellationError.self) { try await calling.value }
    try await onThread { () throws -> Void in
      #expect(throws: WebSocketError.timedOut(.run)) {
        try BlockingWebSocket(client).run(timeout: .milliseconds(10)) { _ in try await Task.sleep(for: .seconds(600)) }
      }
    }
    // The call ends at its deadline; the work ends when it notices that it is cancelled, which nothing announces.
    #expect(await eventually { () async in LiveCounts.current.tasks == 0 })
    #expect(await client.shutdown().cancelledTaskCount == 0)
    await server.stop()
  }

  @Test func `a task that asked for the shutdown and then does not return is released too`() async throws {
    let server = try TestServer(behavior: .echo)
    let client = try await WebSocketSidecar.connect(to: server.url)
    let gate = Promise<Void>()
    await #expect(throws: WebSocketError.closed(nil)) {
      try await client.run { sidecar in
        #expect(await sidecar.shutdown().isClean)
        await gate.uncancellableValue()
      }
    }
    gate.complete(())
    await server.stop()
  }

  @Test func `a task that waits for the shutdown is not given up with those that ignore it`() async throws {
    let server = try TestServer(behavior: .echo)
    let client = try await WebSocketSidecar.connect(to: server.url)
    let (hasBegun, goOn) = (Promise<Void>(), Promise<Void>())
    let ignoring = Task {
      try await client.run { _ in
        hasBegun.complete(())
        await goOn.uncancellableValue()
      }
    }
    await hasBegun.uncancellableValue()
    let report = try await client.run { await $0.shutdown(within: .zero) }
    #expect(report.abandoned.contains(.tasks(count: 1)), "\(report)")
    await #expect(throws: WebSocketError.closed(nil)) { try await ignoring.value }
    goOn.complete(())
    await server.stop()
  }

  // MARK: The registry

  @Test func `a task that is registered while the tasks are cancelled is cancelled too`() throws {
    let registry = TaskRegistry()
    let id = try #require(registry.begin { _ in })
    let whenEmpty = Tally()
    #expect(registry.count == 1)
    registry.close()
    registry.cancelAll { whenEmpty.add() }
    let cancelled = Tally()
    registry.started(id) { cancelled.add() }
    #expect(cancelled.count == 1)
    #expect(whenEmpty.count == 0)
    registry.ended(id)
    #expect(whenEmpty.count == 1)
    #expect(registry.begin { _ in } == nil)
  }

  @Test func `a task of another sidecar's does not pass for one of this`() throws {
    let (registry, other) = (TaskRegistry(), TaskRegistry())
    let (mine, foreign) = (try #require(registry.begin { _ in }), try #require(other.begin { _ in }))
    registry.exempt(foreign)
    #expect(registry.hasTasks)
    registry.exempt(mine)
    #expect(!registry.hasTasks)
    registry.ended(mine)
    other.ended(foreign)
  }
}
