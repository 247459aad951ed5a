import Glibc
import Sidecar
import SidecarTesting
import SidecarTestSupport
import Testing

@Suite(.census, .offThePool) struct `Observations` {
  @Test func `the opening request can be read with its target, headers and offers`() async throws {
    var configuration = WebSocketConfiguration()
    configuration.headers = [("X-Token", "secret")]
    configuration.subprotocols = ["b", "a"]
    try await withTestServer { server in
      let client = try await WebSocketSidecar.connect(to: server.url + "feed?since=3", configuration: configuration)
      let request = try await server.connection().request()
      #expect(request.target == "/feed?since=3")
      #expect(request.path == "/feed")
      #expect(request.query == "since=3")
      #expect(request.header("x-token") == "secret")
      #expect(request.subprotocols == ["b", "a"])
      #expect(request.extensions.isEmpty)
      await client.shutdown()
    }
  }

  @Test func `every frame's header is recorded, however the bytes are cut`() throws {
    let server = try TestServer(behavior: .discard)
    let client = try RawClient(server.port)
    client.open()
    let frames = [
      RawFrame.text("a", fin: false).masked(1), .continuation([UInt8](repeating: 98, count: 200), fin: false).masked(2),
      .ping([UInt8](repeating: 0, count: 125)).masked(3),
      .continuation([UInt8](repeating: 98, count: 70_000), fin: true).masked(0xFFFF_FFFF), .close().masked(5),
    ]
    // Pieces whose size is unrelated to the frames.
    let bytes = frames.flatMap(\.bytes)
    for start in stride(from: 0, to: bytes.count, by: 1399) {
      client.send(bytes[start..<min(start + 1399, bytes.count)])
    }
    let connection = try server.connection()
    try connection.receivedClose()
    let seen = connection.frames
    #expect(seen.map(\.fin) == frames.map(\.fin))
    #expect(seen.map(\.opcode) == frames.map(\.opcode))
    #expect(seen.map(\.maskKey) == frames.map(\.maskKey))
    #expect(seen.map(\.payloadLength) == frames.map { UInt64($0.payload.count) })
    #expect(!seen.contains { $0.rsv1 || $0.rsv2 || $0.rsv3 })
    #expect(connection.messages.map(\.byteCount) == [70_201])
    #expect(server.stop())
  }

  @Test(arguments: [1, 2, 7, 4096])
  func `bytes after the Close frame are recorded, wherever the reads cut them`(_ size: Int) throws {
    let server = try TestServer(behavior: .discard)
    let client = try RawClient(server.port)
    client.open()
    let late: [UInt8] = RawFrame.text("late").masked().bytes + [0xFF, 0xFF]
    let bytes = RawFrame.text("in time").masked().bytes + RawFrame.close(1000, reason: "x").masked().bytes + late
    for start in stride(from: 0, to: bytes.count, by: size) {
      client.send(bytes[start..<min(start + size, bytes.count)])
    }
    client.shutdownWrite()
    let connection = try server.connection()
    #expect(try connection.ended() == .init(stream: .endOfStream, close: .init(code: 1000, reason: "x"), isClean: true))
    #expect(connection.messages == ["in time"])
    #expect(connection.bytesAfterClose == late)
    #expect(server.stop())
  }

  @Test func `a wait ends at its bound, when it is cancelled, and when its event cannot happen any more`() async throws
  {
    try await withTestServer { server in
      await #expect(throws: TestServer.WaitError.timedOut("connection 0")) {
        try await server.connection(within: .milliseconds(1))
      }
      let waiting = Task { try await server.connection() }
      waiting.cancel()
      await #expect(throws: TestServer.WaitError.cancelled) { try await waiting.value }

      let client = try await WebSocketSidecar.connect(to: server.url)
      let connection = try await server.connection()
      await #expect(throws: TestServer.WaitError.timedOut("a Close frame on connection 0")) {
        try await connection.receivedClose(within: .milliseconds(1))
      }
      let message = Task { try await connection.messages(count: 1) }
      await client.shutdown()
      let ending = try await connection.ended()
      await #expect(throws: TestServer.WaitError.tooLate("1 messages", ending)) { try await message.value }

      let never = Task { try await server.connection(1) }
      await server.stop()
      await #expect(throws: TestServer.WaitError.tooLate("connection 1", nil)) { try await never.value }
    }
  }

  @Test func `a server can drop the connections that have ended`() throws {
    var options = TestServer.Options()
    options.keepsEndedConnections = false
    let server = try TestServer(options: options)
    let stays = try RawClient(server.port)
    stays.open()
    for index in 1...3 {
      let client = try RawClient(server.port)
      client.open()
      let connection = try server.connection(index)
      client.close()
      #expect(try connection.ended().stream == .endOfStream)
    }
    #expect(throws: TestServer.WaitError.tooLate("connection 1", nil)) { try server.connection(1) }
    #expect(server.connectionCount == 4)
    #expect(eventually { server.connections.map(\.index) == [0] })
    #expect(server.stop())
    #expect(server.connections.isEmpty)
  }

  @Test func `messages beyond the recorded bytes are counted and not kept`() throws {
    var options = TestServer.Options()
    options.recordedBytes = 1000
    let server = try TestServer(behavior: .discard, options: options)
    let client = try RawClient(server.port)
    client.open()
    for _ in 0..<100 { client.send(RawFrame.text("0123456789").masked()) }
    let connection = try server.connection()
    try connection.messages(count: 100)
    #expect(connection.isTruncated)
    #expect(connection.messages.count < 100)
    #expect(connection.messageCount == 100)
    #expect(server.stop())
  }

  @Test func `a server does not read from a client that does not read`() throws {
    var options = TestServer.Options()
    options.sendBufferSize = 16 * 1024
    options.receiveBufferSize = 16 * 1024
    let server = try TestServer(behavior: .echo, options: options)
    let client = try RawClient(server.port, receiveBuffer: 16 * 1024, sendBuffer: 16 * 1024)
    client.open()
    client.setTimeout(SO_SNDTIMEO, microseconds: 20_000)
    let frame = RawFrame.binary([UInt8](repeating: 7, count: 4096)).masked().bytes
    let all = (0..<1000).flatMap { _ in frame }
    let connection = try server.connection()
    var sent = 0
    #expect(
      eventually {
        sent += client.send(all[sent...])
        return connection.sendingIsBlocked
      })
    #expect(sent < all.count)
    try connection.sendingBlocked()
    // Once the client reads, everything is echoed.
    let complete = sent / frame.count
    let echo = client.receive(count: complete * (frame.count - 4))
    #expect(echo.count == complete * (frame.count - 4))
    #expect(server.stop())
  }
}
