import Glibc
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
    // What was dropped ends by itself, which nothing announces.
    #expect(await eventually { () async in LiveCounts.current.isOnlyAServer }, "\(LiveCounts.current)")
    let before = ProcessCensus.take()
    for round in 0..<1000 { try await cycle(round, server.url) }
    #expect(await eventually { () async in LiveCounts.current.isOnlyAServer }, "\(LiveCounts.current)")
    // The kernel counts what other tests and the pool hold for a moment, too. The pool starts and ends its workers as
    // it pleases: a leak is one a cycle.
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
}

private func blockingCycle(_ url: String) throws {
  let socket = try BlockingWebSocket(url)
  try socket.send([1, 2, 3])
  #expect(try socket.receive(timeout: .seconds(20)) == [1, 2, 3])
  #expect(socket.shutdown().isClean)
}
