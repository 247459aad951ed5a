import Dispatch
import Glibc
import Sidecar
import SidecarTesting
import SidecarTestSupport
import Testing

@Suite(.aloneWithCensus, .serialized, .offThePool) struct `Lifecycle of a server` {
  @Test func `after the stop no thread and no descriptor is left`() throws {
    func cycle() throws {
      let server = try TestServer(behaviors: [.echo, .script([.open, .stall]), .acceptOnly, .fireHose(message: "x")])
      let clients = try (0..<4).map { _ in try RawClient(server.port) }
      for client in [clients[0], clients[1], clients[3]] { client.open() }
      _ = try server.connections(count: 4)
      #expect(server.stop())
      for connection in server.connections { #expect(connection.ending?.stream == .closedByServer) }
      // Without this, the clients could be released before the server stops.
      withExtendedLifetime(clients) {}
    }
    try cycle()
    let before = ProcessCensus.take()
    for _ in 0..<100 { try cycle() }
    // Tests without a census run in parallel. What they hold varies; a leak of a hundred descriptors stays.
    #expect(eventually { ProcessCensus.take().descriptors < before.descriptors + 80 })
    #expect(eventually { ProcessCensus.take().threads < before.threads + 80 })
  }

  @Test func `dropping the last reference closes everything`() throws {
    let client: RawClient
    do {
      let server = try TestServer(behavior: .silent)
      client = try RawClient(server.port)
      client.open()
    }
    #expect(client.receiveToEnd() == ([], 0))
  }

  @Test func `a port can be taken over by the server that restarts on it`() throws {
    let first = try TestServer()
    let client = try RawClient(first.port)
    client.open()
    #expect(first.stop())
    #expect(throws: SystemError("connect", code: ECONNREFUSED)) { try RawClient(first.port) }
    var options = TestServer.Options()
    options.port = first.port
    let second = try TestServer(options: options)
    #expect(second.port == first.port)
    #expect(throws: SystemError("bind", code: EADDRINUSE)) { try TestServer(options: options) }
    let again = try RawClient(second.port)
    #expect(again.open().hasPrefix("HTTP/1.1 101 "))
    #expect(second.stop())
  }

  @Test func `several threads and tasks can stop a server at once`() async throws {
    for _ in 0..<20 {
      let server = try TestServer()
      let client = try await WebSocketSidecar.connect(to: server.url)
      await withTaskGroup(of: Bool.self) { group in
        for _ in 0..<4 { group.addTask { await server.stop() } }
        for await stopped in group { #expect(stopped) }
      }
      await client.shutdown()
    }
  }

  @Test func `a stop waits no longer than its bound for a closure that holds the thread`() throws {
    let entered = DispatchSemaphore(value: 0)
    let gate = DispatchSemaphore(value: 0)
    let server = try TestServer(
      behavior: .respond { _ in
        entered.signal()
        gate.wait()
        return []
      })
    let client = try RawClient(server.port)
    client.open()
    client.send(RawFrame.text("hold").masked())
    entered.wait()
    #expect(!server.stop(within: .milliseconds(10)))
    gate.signal()
    #expect(server.stop())
  }

  @Test func `a burst of connections is served`() throws {
    let server = try TestServer()
    let clients = try (0..<50).map { _ in try RawClient(server.port) }
    for client in clients { client.send(RawClient.request()) }
    for client in clients { #expect(client.receiveHead().hasPrefix("HTTP/1.1 101 ")) }
    #expect(server.connectionCount == 50)
    #expect(server.stop())
  }

  @Test func `a server that is out of descriptors accepts as soon as one is free`() async {
    // In a process of its own, because the limit applies to a process.
    await #expect(processExitsWith: .success) { try runOutOfDescriptors() }
  }

  @Test func `a script that waits for frames before it opens the connection traps at once`() async {
    await #expect(processExitsWith: .failure) {
      _ = TestServer.Behavior.script([.receiveRequest, .repeat([.receiveMessage])])
    }
  }

  @Test func `a refused port refuses connections while it is held`() async throws {
    for loopback in [TestServer.Options.Loopback.ipv4, .ipv6] {
      let port = try TestServer.refusedPort(loopback)
      let error = await #expect(throws: WebSocketError.self) { try await WebSocketSidecar.connect(to: port.url) }
      guard case .connectFailed(let failure) = error else {
        Issue.record("the error is \(String(describing: error))")
        continue
      }
      #expect(failure.attempts.map(\.error.code) == [ECONNREFUSED])
    }
  }

  @Test func `connecting to a full port hangs`() async throws {
    for loopback in [TestServer.Options.Loopback.ipv4, .ipv6] {
      let port = try TestServer.fullPort(loopback)
      var configuration = WebSocketConfiguration()
      configuration.connectTimeout = .milliseconds(20)
      await #expect(throws: WebSocketError.timedOut(.connect)) {
        try await WebSocketSidecar.connect(to: port.url, configuration: configuration)
      }
    }
  }
}

/// Not asynchronous, because a task that waits may need a descriptor for its timer at any moment.
private func runOutOfDescriptors() throws {
  let server = try TestServer()
  // The first connection opens every other descriptor that the server needs.
  let first = try RawClient(server.port)
  #expect(first.open().hasPrefix("HTTP/1.1 101 "))
  var limit = rlimit(rlim_cur: 64, rlim_max: 64)
  setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  var fillers: [Int32] = []
  while case let filler = dup(0), filler >= 0 { fillers.append(filler) }
  close(fillers.removeLast())
  let client = try RawClient(server.port)
  client.send(RawClient.request())
  client.setTimeout(SO_RCVTIMEO, microseconds: 50_000)
  #expect(client.receive() == nil)
  for filler in fillers { close(filler) }
  client.setTimeout(SO_RCVTIMEO, seconds: 20)
  #expect(client.receiveHead().hasPrefix("HTTP/1.1 101 "))
  #expect(server.stop())
}
