import SidecarExecutor
import SidecarProtocol
import SidecarTestSupport
import SidecarTesting
import Testing

@testable import Sidecar

/// Sidecars on a thread that others go on using.
@Suite(.aloneWithCensus, .serialized) struct `A shared thread` {
  @Test func `a connection that has ended has taken back all that it had registered with its loop`() async throws {
    let server = try TestServer(behavior: .echo)
    let refused = try TestServer.refusedPort()
    let full = try TestServer.fullPort()
    let thread = try SidecarThread(name: "shared")
    #expect(await thread.registrationCount() == 0)
    do {
      let client = try await WebSocketSidecar.connect(to: server.url, on: thread)
      #expect(await client.shutdown(within: .seconds(60)).isClean)
      #expect(await thread.registrationCount() == 0, "open")
    }
    do {
      await #expect(throws: WebSocketError.self) { try await WebSocketSidecar.connect(to: refused.url, on: thread) }
      #expect(await thread.registrationCount() == 0, "refused")
    }
    do {
      let client = try WebSocketSidecar(full.url, on: thread)
      #expect(await thread.registers(3), "a descriptor, a deadline and an observer")
      await client.shutdown(within: .seconds(60))
      #expect(await thread.registrationCount() == 0, "connecting")
    }
    #expect(await thread.shutdown())
    await server.stop()
  }

  @Test func `what has ended is freed, connection and coordinator, long before the bound`() async throws {
    let server = try TestServer(behavior: .echo)
    let thread = try SidecarThread(name: "shared")
    let parts: WebSocketSidecar.Parts
    do {
      let client = try await WebSocketSidecar.connect(to: server.url, on: thread)
      parts = client.parts
      try await client.send("x")
      _ = try await client.receive()
      // Two wake-ups that are far off: the second one takes the place of the first, and the end takes it back.
      client.armShutdownTimer(in: .seconds(600), decision: 0)
      client.armShutdownTimer(in: .seconds(601), decision: 0)
      #expect(await client.shutdown(within: .seconds(600)).isClean)
    }
    #expect(await parts.areFreed())
    #expect(await thread.shutdown())
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
