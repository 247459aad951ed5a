import Glibc
import SidecarExecutor
import SidecarTesting
import SidecarTestSupport
import Testing

@testable import Sidecar

/// Promise 3, in bulk.
@Suite(.aloneWithCensus, .serialized) struct `Many sidecars` {
  /// A cycle for each way to use and to end a sidecar.
  private func cycle(_ round: Int, _ url: String) async throws {
    switch round % 4 {
    case 0:
      try await withWebSocketSidecar(url) { client in
        try await client.send("hello")
        #expect(try await client.receive() == "hello")
      }
    case 1:
      try await onThread { try blockingCycle(url) }
    case 2:
      let client = try await WebSocketSidecar.connect(to: url)
      try await client.send("hello")
      for await message in client.messages {
        #expect(message == "hello")
        break
      }
      #expect(await client.shutdown().isClean)
    default:
      let client = try await WebSocketSidecar.connect(to: url)
      try await client.send("dropped")
      _ = try await client.receive()
    }
  }

  @Test func `a thousand cycles leave threads and descriptors where they were`() async throws {
    await warmUp()
    let server = try TestServer(behavior: .echo)
    for round in 0..<20 { try await cycle(round, server.url) }
    #expect(await eventually { () async in LiveCounts.current.threads == 1 })
    let before = ProcessCensus.take()
    for round in 0..<1000 { try await cycle(round, server.url) }
    #expect(await eventually { () async in LiveCounts.current.isOnlyAServer }, "\(LiveCounts.current)")
    // The pool starts and ends its workers as it pleases: a leak is one a cycle.
    let workers = Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    #expect(
      await eventually { () async in
        let now = ProcessCensus.take()
        return now.descriptors <= before.descriptors && now.threads <= before.threads + workers
      }, "\(ProcessCensus.take()), before: \(before)")
    await server.stop()
  }

  @Test func `two hundred sidecars with threads of their own are shut down together within one bound`() async throws {
    let server = try TestServer(behavior: .echo)
    let clients = try await withThrowingTaskGroup(of: WebSocketSidecar.self) { group in
      for _ in 0..<200 { group.addTask { try await WebSocketSidecar.connect(to: server.url) } }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(LiveCounts.current.threads == 201)
    let (reports, elapsed) = await offThePool {
      let begin = ContinuousClock.now
      let reports = await withTaskGroup(of: ShutdownReport.self) { group in
        for client in clients { group.addTask { await client.shutdown(within: .seconds(2)) } }
        return await group.reduce(into: []) { $0.append($1) }
      }
      return (reports, ContinuousClock.now - begin)
    }
    #expect(elapsed <= .seconds(2) + slack)
    #expect(reports.filter { !$0.isClean } == [])
    #expect(LiveCounts.current.isOnlyAServer, "\(LiveCounts.current)")
    await server.stop()
  }

  @Test func `sidecars share a thread, and shutting one down does not disturb the others`() async throws {
    let server = try TestServer(behavior: .echo)
    let thread = try SidecarThread(name: "shared")
    var clients: [WebSocketSidecar] = []
    for _ in 0..<50 { clients.append(try await WebSocketSidecar.connect(to: server.url, on: thread)) }
    #expect(LiveCounts.current.threads == 2)
    while let client = clients.popLast() {
      #expect(await client.shutdown(within: .seconds(5)).isClean)
      for other in clients.prefix(3) {
        try await other.send("still here")
        #expect(try await other.receive() == "still here")
      }
    }
    #expect(await thread.shutdown())
    #expect(LiveCounts.current.isOnlyAServer, "\(LiveCounts.current)")
    await server.stop()
  }

  @Test func `a shared thread that is told to end takes its sidecars with it`() async throws {
    let server = try TestServer(behavior: .echo)
    let thread = try SidecarThread(name: "shared")
    let clients = [
      try await WebSocketSidecar.connect(to: server.url, on: thread),
      try await WebSocketSidecar.connect(to: server.url, on: thread),
    ]
    let waiting = clients.map { client in Task { try await client.receive() } }
    #expect(await thread.shutdown())
    for task in waiting { _ = await task.result }
    for index in clients.indices {
      #expect(try await server.connection(index).receivedClose().code == .goingAway)
    }
    for client in clients {
      #expect(client.closeStatus != nil)
      await #expect(throws: WebSocketError.self) { try await client.send("x") }
      await client.shutdown(within: .seconds(1))
    }
    // One that comes too late is told so.
    await #expect(throws: WebSocketError.self) { try await WebSocketSidecar.connect(to: server.url, on: thread) }
    await server.stop()
  }

  @Test func `a busy sidecar on a shared thread does not starve the others`() async throws {
    let server = try TestServer { _, request in
      request.path == "/hose" ? .fireHose(message: .binary(Array(repeating: 1, count: 1000))) : .echo
    }
    let thread = try SidecarThread(name: "shared")
    let received = Tally()
    let busy = try await WebSocketSidecar.connect(to: server.url + "hose", on: thread) { _, _, _ in received.add() }
    let quiet = try await WebSocketSidecar.connect(to: server.url, on: thread)
    for _ in 0..<100 { #expect(try await quiet.ping(timeout: .seconds(10)) < .seconds(10)) }
    #expect(received.count > 0)
    #expect(await quiet.shutdown().isClean)
    #expect(await busy.shutdown().isClean)
    #expect(await thread.shutdown())
    await server.stop()
  }
}

private func blockingCycle(_ url: String) throws {
  let socket = try BlockingWebSocket(url)
  try socket.send([1, 2, 3])
  #expect(try socket.receive(timeout: .seconds(20)) == [1, 2, 3])
  #expect(socket.shutdown().isClean)
}

extension LiveCounts {
  /// Whether no client is left beside a test server, which may still have connections in its hands.
  var isOnlyAServer: Bool { sidecars == 0 && threads == 1 && tasks == 0 }
}
