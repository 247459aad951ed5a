import Glibc
import Sidecar
import SidecarTesting
import SidecarTestSupport
import Testing

@Suite(.census, .offThePool) struct `Behaviors` {
  @Test(arguments: [TestServer.Options.Loopback.ipv4, .ipv6])
  func `an echo server sends text back as text and binary as binary`(_ loopback: TestServer.Options.Loopback)
    async throws
  {
    var options = TestServer.Options()
    options.loopback = loopback
    try await withTestServer(.echo, options: options) { server in
      let client = try await WebSocketSidecar.connect(to: server.url)
      let messages: [WebSocketMessage] = [
        "hello", [0xCA, 0xFE], "", [], .text(String(repeating: "ü", count: 100_000)),
      ]
      for message in messages {
        try await client.send(message)
        #expect(try await client.receive() == message)
      }
      #expect(try await server.connection().messages == messages)
      let status = try await client.close()
      #expect(status.code == .normalClosure)
      #expect(status.wasClean)
      let ending = try await server.connection().ended()
      #expect(ending == .init(stream: .endOfStream, close: .init(code: .normalClosure), isClean: true))
      #expect(await client.shutdown().isClean)
    }
  }

  @Test func `an echo server answers Pings with their payload`() async throws {
    try await withTestServer { server in
      let client = try await WebSocketSidecar.connect(to: server.url)
      _ = try await client.ping([1, 2, 3])
      #expect(try await server.connection().pings == [[1, 2, 3]])
      await client.shutdown()
    }
  }

  @Test func `an echo server assembles fragments, and answers a Ping between them`() throws {
    let server = try TestServer()
    let client = try RawClient(server.port)
    client.open()
    client.send(RawFrame.text("frag", fin: false).masked())
    client.send(RawFrame.ping([7]).masked())
    client.send(RawFrame.continuation("ment".utf8, fin: true).masked())
    #expect(client.receive(count: 3) == RawFrame.pong([7]).bytes)
    #expect(client.receive(count: 10) == RawFrame.text("fragment").bytes)
    #expect(server.stop())
  }

  @Test func `a server answers a violation with a Close frame that names it, and ends the stream`() throws {
    let server = try TestServer()
    let client = try RawClient(server.port)
    client.open()
    client.send(RawFrame.text("unmasked"))
    #expect(client.receiveToEnd().bytes.starts(with: [0x88, 30, 0x03, 0xEA]))
    client.close()
    let connection = try server.connection()
    let ending = try connection.ended()
    #expect(!ending.isClean)
    #expect(connection.violation?.contains("RFC 6455 §5.1") == true)
    #expect(server.stop())
  }

  @Test func `a responding server sends what its closure returns`() async throws {
    let behavior = TestServer.Behavior.respond { message in message == "twice" ? [message, message] : [] }
    try await withTestServer(behavior) { server in
      let client = try await WebSocketSidecar.connect(to: server.url)
      try await client.send("never")
      try await client.send("twice")
      #expect(try await client.receive() == "twice")
      #expect(try await client.receive() == "twice")
      await client.shutdown()
      #expect(server.connections[0].messageCount == 2)
    }
  }

  @Test func `a fire hose sends the given number of messages, and then answers the Close`() async throws {
    let count = 20_000
    try await withTestServer(.fireHose(message: "drop", count: count)) { server in
      let client = try await WebSocketSidecar.connect(to: server.url)
      for _ in 0..<count { #expect(try await client.receive() == "drop") }
      #expect(await client.shutdown().isClean)
      #expect(try await server.connection().ended().isClean)
    }
  }

  @Test func `an endless fire hose answers Pings and the Close between its frames`() throws {
    let server = try TestServer(behavior: .fireHose(message: .binary([UInt8](repeating: 9, count: 1000))))
    let client = try RawClient(server.port)
    client.open()
    client.send(RawFrame.ping([1]).masked())
    client.send(RawFrame.close(1000).masked())
    let others = ServerFrame.parse(client.receiveToEnd().bytes).filter { $0.payload.count != 1000 }
    #expect(others == [ServerFrame(.pong([1])), ServerFrame(.close(1000))])
    client.close()
    #expect(try server.connection().ended().isClean)
    #expect(server.stop())
  }

  @Test func `a discarding server reads everything and sends nothing`() async throws {
    try await withTestServer(.discard) { server in
      let client = try await WebSocketSidecar.connect(to: server.url)
      for index in 0..<1000 { try await client.send("\(index)") }
      let messages = try await server.connection().messages(count: 1000)
      #expect(messages.last == "999")
      #expect(await client.shutdown().isClean)
    }
  }

  @Test func `a silent server answers nothing and keeps the connection`() throws {
    let server = try TestServer(behavior: .silent)
    let client = try RawClient(server.port)
    client.open()
    client.send(RawFrame.ping().masked().bytes + RawFrame.close(1001).masked().bytes)
    client.shutdownWrite()
    let connection = try server.connection()
    #expect(try connection.ended() == .init(stream: .endOfStream, close: .init(code: .goingAway), isClean: false))
    // No frame and no end of the stream arrives until the server stops.
    client.setTimeout(SO_RCVTIMEO, microseconds: 20_000)
    #expect(client.receive() == nil)
    #expect(errno == EAGAIN)
    #expect(server.stop())
    client.setTimeout(SO_RCVTIMEO, seconds: 20)
    #expect(client.receive() == [])
  }

  @Test func `a server that only accepts leaves the opening request unread`() throws {
    let server = try TestServer(behavior: .acceptOnly)
    let client = try RawClient(server.port)
    client.send(RawClient.request())
    let connection = try server.connection()
    client.close()
    #expect(try connection.ended() == .init(stream: .endOfStream, close: nil, isClean: false))
    #expect(connection.bytesReceived == 0)
    #expect(connection.script == .running)
    #expect(server.stop())
    #expect(connection.script == .cutShort(at: "stall"))
  }

  @Test func `a refusal carries status, reason, headers and body`() async throws {
    let behavior = TestServer.Behavior.refuse(
      status: 401, reason: "Who are you", headers: [.init("WWW-Authenticate", "Basic")], body: "go away")
    try await withTestServer(behavior) { server in
      let error = await #expect(throws: WebSocketError.self) { try await WebSocketSidecar.connect(to: server.url) }
      guard case .handshakeRefused(let refusal) = error else {
        Issue.record("the error is \(String(describing: error))")
        return
      }
      #expect(refusal.status == 401)
      #expect(refusal.reason == "Who are you")
      #expect(refusal.headers.map(\.name) == ["WWW-Authenticate", "Content-Length", "Connection"])
      #expect(refusal.body == Array("go away".utf8))
      let ending = try await server.connection().ended()
      #expect(ending.stream == .endOfStream)
    }
  }

  @Test func `behaviors can differ by connection and by path`() async throws {
    let inTurn = try TestServer(behaviors: [.refuse(status: 503), .script([.open, .send("second")]), .echo])
    await #expect(throws: WebSocketError.self) { try await WebSocketSidecar.connect(to: inTurn.url) }
    for expected: WebSocketMessage in ["second", "ping", "ping"] {
      let client = try await WebSocketSidecar.connect(to: inTurn.url)
      try await client.send("ping")
      #expect(try await client.receive() == expected)
      await client.shutdown()
    }
    #expect(await inTurn.stop())

    let byPath = try TestServer { index, request in
      request.path == "/index" ? .script([.open, .send("\(index) \(request.query ?? "")")]) : .echo
    }
    for path in ["index?a=b", "other"] {
      let client = try await WebSocketSidecar.connect(to: byPath.url + path)
      try await client.send("other")
      #expect(try await client.receive() == (path == "other" ? "other" : "0 a=b"))
      await client.shutdown()
    }
    #expect(await byPath.stop())
  }

  @Test func `the first subprotocol offered that the server speaks is chosen`() throws {
    var options = TestServer.Options()
    options.subprotocols = ["v1", "v2"]
    let server = try TestServer(options: options)
    for (offered, chosen) in [("v3, v2, v1", "v2"), ("v3", nil), ("", nil)] {
      let client = try RawClient(server.port)
      let head = client.open(headers: offered.isEmpty ? "" : "Sec-WebSocket-Protocol: \(offered)\r\n")
      #expect(head.hasPrefix("HTTP/1.1 101 "))
      #expect(head.contains("Sec-WebSocket-Protocol: \(chosen ?? "")") == (chosen != nil))
    }
    #expect(server.stop())
  }

  @Test func `an invalid request is refused with the reason`() throws {
    let server = try TestServer()
    let requests = [
      ("POST / HTTP/1.1\r\nHost: test\r\n\r\n", "HTTP/1.1 400 Bad Request"),
      (
        RawClient.request().split(separator: "13").joined(separator: "8"), "HTTP/1.1 426 Upgrade Required"
      ),
    ]
    for (index, (request, status)) in requests.enumerated() {
      let client = try RawClient(server.port)
      client.send(request)
      let answer = String(decoding: client.receiveToEnd().bytes, as: UTF8.self)
      #expect(answer.hasPrefix(status))
      client.close()
      let connection = try server.connection(index)
      #expect(try connection.ended().stream == .endOfStream)
      #expect(connection.requestViolation != nil)
      #expect(connection.request == nil)
    }
    #expect(server.stop())
  }
}
