import Glibc
import Sidecar
import SidecarTesting
import SidecarTestSupport
import Synchronization
import Testing

@Suite(.census, .offThePool) struct `Servers on Unix-domain sockets` {
  private static let count = Atomic(0)

  /// A name that no other test uses.
  private func newName() -> String {
    let number = Self.count.add(1, ordering: .relaxed).newValue
    return "sidecar-server-\(getpid())-\(number)"
  }

  private func options(_ unixPath: String) -> TestServer.Options {
    var options = TestServer.Options()
    options.unixPath = unixPath
    return options
  }

  private func configuration(_ endpoint: WebSocketEndpoint) -> WebSocketConfiguration {
    var configuration = WebSocketConfiguration()
    configuration.endpoint = endpoint
    return configuration
  }

  private func exchange(with server: TestServer) async throws {
    let client = try await WebSocketSidecar.connect(to: server.url, configuration: configuration(server.endpoint))
    for message in ["hello", [1, 2, 3]] as [WebSocketMessage] {
      try await client.send(message)
      #expect(try await client.receive() == message)
    }
    #expect(await client.shutdown().isClean)
    #expect(try await server.connection().ended().isClean)
  }

  @Test func `a client connects over a path, and the socket's file is gone after the stop`() async throws {
    let path = "/tmp/\(newName()).sock"
    let server = try TestServer(options: options(path))
    #expect(server.endpoint == .unix(path: path))
    #expect(server.port == 0)
    #expect(access(path, F_OK) == 0)
    try await exchange(with: server)
    #expect(await server.stop())
    #expect(access(path, F_OK) != 0)
    let error = await #expect(throws: WebSocketError.self) {
      try await WebSocketSidecar.connect(to: server.url, configuration: configuration(server.endpoint))
    }
    guard case .connectFailed(let failure) = error else {
      Issue.record("the error is \(String(describing: error))")
      return
    }
    #expect(failure.attempts.map(\.error.code) == [ENOENT])
  }

  @Test func `a client connects over an abstract name, which has no file`() async throws {
    let name = "@" + newName()
    let server = try TestServer(options: options(name))
    #expect(server.endpoint == .unix(path: name))
    try await exchange(with: server)
    #expect(access(name, F_OK) != 0)
    #expect(await server.stop())
    // The name is free again.
    let next = try TestServer(options: options(name))
    #expect(await next.stop())
  }

  @Test func `dropping the last reference removes the socket's file`() throws {
    let path = "/tmp/\(newName()).sock"
    do {
      let server = try TestServer(options: options(path))
      #expect(server.endpoint == .unix(path: path))
    }
    // Nobody waits for the thread that removes it.
    #expect(eventually { access(path, F_OK) != 0 })
  }

  @Test func `a server does not take over a path that is in use`() throws {
    let path = "/tmp/\(newName()).sock"
    let server = try TestServer(options: options(path))
    #expect(throws: SystemError("bind", code: EADDRINUSE)) { try TestServer(options: options(path)) }
    #expect(access(path, F_OK) == 0)
    #expect(server.stop())
    #expect(access(path, F_OK) != 0)
  }

  @Test func `a server on a loopback port says its endpoint too`() async throws {
    for loopback in [TestServer.Options.Loopback.ipv4, .ipv6] {
      var options = TestServer.Options()
      options.loopback = loopback
      let server = try TestServer(options: options)
      let host = loopback == .ipv4 ? "127.0.0.1" : "::1"
      #expect(server.endpoint == .tcp(host: host, port: server.port))
      try await exchange(with: server)
      #expect(await server.stop())
    }
  }

  @Test func `a path that cannot be a socket's name is a mistake that shows at once`() async {
    await #expect(processExitsWith: .failure) {
      var options = TestServer.Options()
      options.unixPath = "/tmp/" + String(repeating: "x", count: 200)
      _ = try TestServer(options: options)
    }
  }
}
