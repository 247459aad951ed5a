import Dispatch
import SidecarExecutor
import SidecarTesting
import SidecarTestSupport
import Testing

@testable import Sidecar

/// An actor of the application's, pinned to a sidecar's thread.
private actor Pinned {
  nonisolated let thread: SidecarThread
  private let onDeinit: @Sendable (Bool) -> Void
  private var count = 0

  init(_ thread: SidecarThread, onDeinit: @escaping @Sendable (Bool) -> Void = { _ in }) {
    self.thread = thread
    self.onDeinit = onDeinit
  }

  nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

  isolated deinit {
    onDeinit(thread.isCurrent)
  }

  func increment() -> Int {
    count += 1
    return count
  }
}

/// Promise 1 after the end, and in the race with it.
@Suite(.aloneWithCensus, .serialized) struct `Late work` {
  @Test func `every call on a sidecar that has ended is answered`() async throws {
    let server = try TestServer(behavior: .echo)
    let client = try await WebSocketSidecar.connect(to: server.url)
    let report = await client.shutdown()
    #expect(report.isClean)
    let status = try #require(client.closeStatus)

    await #expect(throws: WebSocketError.closed(status)) { try await client.send("x") }
    await #expect(throws: WebSocketError.closed(status)) { try await client.ping() }
    #expect(throws: WebSocketError.closed(status)) { try client.trySend("x") }
    await #expect(throws: WebSocketError.closed(status)) { try await client.run { _ in } }
    #expect(try await client.receive() == nil)
    #expect(try await client.close() == status)
    try await client.connected()
    for await _ in client.messages { Issue.record("there is no message") }
    for try await _ in client.inbound { Issue.record("there is no message") }
    #expect(await client.shutdown(within: .zero) == report)
    #expect(await client.isOnItsThread())

    try await onThread { () throws -> Void in
      let socket = BlockingWebSocket(client)
      #expect(throws: WebSocketError.closed(status)) { try socket.send("x") }
      #expect(throws: WebSocketError.closed(status)) { try socket.ping() }
      #expect(try socket.receive() == nil)
      #expect(try socket.close() == status)
      #expect(socket.shutdown() == report)
    }
    await server.stop()
  }

  @Test func `an actor that is pinned to the thread goes on when the thread has ended`() async throws {
    let server = try TestServer(behavior: .echo)
    let client = try await WebSocketSidecar.connect(to: server.url)
    let wasIsolated = Promise<Bool>()
    var actor: Pinned? = Pinned(client.thread) { wasIsolated.complete($0) }
    #expect(await actor?.increment() == 1)
    await client.shutdown()
    #expect(await actor?.increment() == 2)
    actor = nil
    #expect(await wasIsolated.uncancellableValue(), "an isolated deinit runs, and is isolated")
    await server.stop()
  }

  @Test func `every job comes to run, and every call ends, in the race with the thread's end`() async throws {
    let server = try TestServer(behavior: .echo)
    let rounds = 300
    for round in 0..<rounds {
      let client = try await WebSocketSidecar.connect(to: server.url)
      let jobs = 20
      let ran = Tally()
      let isFreed = Promise<Void>()
      await withTaskGroup(of: Void.self) { group in
        group.addTask {
          if round.isMultiple(of: 2) { await Task.yield() }
          await client.shutdown(within: .seconds(round.isMultiple(of: 3) ? 0 : 5))
        }
        group.addTask {
          let actor = Pinned(client.thread) { _ in isFreed.complete(()) }
          for _ in 0..<jobs {
            _ = await actor.increment()
            ran.add()
          }
        }
        group.addTask { for _ in 0..<jobs { try? await client.send("x") } }
        group.addTask { for _ in 0..<jobs { _ = try? await client.ping() } }
        group.addTask { for _ in 0..<jobs { try? await client.run { _ in } } }
        group.addTask { for await _ in client.messages {} }
        group.addTask {
          let task = Task { try await client.receive() }
          await Task.yield()
          task.cancel()
          _ = await task.result
        }
        group.addTask { _ = try? await client.close(timeout: .seconds(5)) }
      }
      #expect(ran.count == jobs)
      if case .timedOut = await isFreed.value(until: .after(patience)) { Issue.record("the actor is not freed") }
    }
    await server.stop()
  }

  @Test func `jobs are isolated from each other on both sides of the thread's end`() async throws {
    for round in 0..<2000 {
      let thread = try SidecarThread()
      // Not atomic on purpose: only isolation keeps the count right.
      let counter = UnsafeCounter()
      let done = Promise<Void>()
      let total = 24
      for posted in 0..<total {
        if posted == (round % total) { thread.requestStop() }
        thread.post {
          counter.value += 1
          if counter.value == total { done.complete(()) }
        }
      }
      if case .timedOut = await done.value(until: .after(.seconds(20))) {
        Issue.record("\(counter.value) of \(total) ran in round \(round)")
      }
      #expect(await thread.joined(until: .after(.seconds(20))))
    }
  }
}

private final class UnsafeCounter: @unchecked Sendable {
  // Isolated to the thread it is used on, or its fallback executor.
  var value = 0
}

extension WebSocketSidecar {
  fileprivate func isOnItsThread() -> Bool { thread.isCurrent }
}
