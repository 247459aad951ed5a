import Foundation
import Sidecar
import SidecarTesting
import Testing
import SidecarProtocol

/// What RFC 6455 and RFC 7692 ask of a client's bytes, as a server sees them.
@Suite struct WireTests {
  private let patience = Duration.seconds(120)

  @Test func `every connection has a key of its own`() async throws {
    try await withTestServer { server in
      var keys: Set<String> = []
      for index in 0..<5 {
        let client = try await WebSocketSidecar.connect(to: server.url)
        let request = try await server.connection(index, within: patience).request(within: patience)
        // RFC 6455 §4.1, items 5 to 9.
        #expect(request.header("Upgrade") == "websocket" && request.header("Connection") == "Upgrade")
        #expect(request.header("Sec-WebSocket-Version") == "13")
        keys.insert(try #require(request.header("Sec-WebSocket-Key")))
        await client.shutdown()
      }
      #expect(keys.count == 5)
      #expect(keys.allSatisfy { HandshakeKey($0).isWellFormed })
    }
  }

  @Test func `every frame is masked with a key of its own, whole, and without reserved bits`() async throws {
    try await withTestServer { server in
      let client = try await WebSocketSidecar.connect(to: server.url)
      let connection = try await server.connection(within: patience)
      let sizes = [0, 1, 125, 126, 65_535, 65_536]
      for size in sizes {
        try await client.send(WebSocketMessage.binary(Array(repeating: 0x61, count: size)))
        try await client.send(WebSocketMessage.text(String(repeating: "a", count: size)))
        try await client.ping()
      }
      try await client.close(code: 4000, reason: "enough")
      _ = try await connection.ended(within: patience)
      let frames = connection.frames
      #expect(frames.count == 3 * sizes.count + 1)
      #expect(frames.last?.opcode == 8)
      #expect(frames.allSatisfy { $0.fin && !$0.rsv1 && !$0.rsv2 && !$0.rsv3 })
      // §5.3: chosen anew for each frame, so that no two of these few are the same but by a chance of one to 10^7.
      #expect(Set(frames.compactMap(\.maskKey)).count == frames.count)
      // What is not in the shortest form is a violation.
      #expect(connection.violation == nil && connection.bytesAfterClose.isEmpty)
    }
  }

  @Test func `RSV1 is set where a message is compressed and nowhere else`() async throws {
    var options = TestServer.Options()
    options.compression = .init()
    try await withTestServer(options: options) { server in
      var configuration = WebSocketConfiguration()
      configuration.compression = WebSocketCompression()
      let client = try await WebSocketSidecar.connect(to: server.url, configuration: configuration)
      let connection = try await server.connection(within: patience)
      try await client.send(String(repeating: "a", count: 1000))
      try await client.send("short")
      try await client.ping(Array(repeating: 0x61, count: 125))
      try await client.send(WebSocketMessage.binary(Array(repeating: 0x61, count: 1000)))
      try await client.close()
      _ = try await connection.ended(within: patience)
      #expect(connection.frames.map(\.opcode) == [1, 1, 9, 2, 8])
      #expect(connection.frames.map(\.rsv1) == [true, false, false, true, false])
      #expect(connection.violation == nil)
    }
  }

  @Test func `messages of all sizes keep what they carry, however much is read after them`() async throws {
    // As large as a read, as what is shared of it, as what is put together from two: kept until all have come.
    let sizes = (0..<200).map { [16_384, 10, 9000, 8192, 1025, 40_000, 1024, 70_000, 0][$0 % 9] }
    let messages = sizes.enumerated().map { index, size in
      index.isMultiple(of: 3)
        ? WebSocketMessage.text(String(repeating: Character(UnicodeScalar(UInt8(97 + index % 26))), count: size))
        : WebSocketMessage.binary(Array(repeating: UInt8(index), count: size))
    }
    let script: [TestServer.Step] = [.open] + messages.map { .send($0.frame) } + [.stall]
    try await withTestServer(.script(script)) { server in
      let client = try await WebSocketSidecar.connect(to: server.url)
      var received: [WebSocketMessage] = []
      while received.count < messages.count, let message = try await client.receive(timeout: patience) {
        received.append(message)
      }
      #expect(received == messages)
      await client.shutdown(within: .zero)
    }
  }

  @Test func `pings are answered with what they carry, in the middle of a message too`() async throws {
    let payloads = [[], [0], Array(UInt8.min...UInt8.max).prefix(125)].map { Array<UInt8>($0) }
    let script: [TestServer.Step] =
      [.open, .send(.text("be", fin: false))]
      + payloads.flatMap { [TestServer.Step.ping($0), .receivePong] }
      + [.send(.continuation(Array("gun".utf8), fin: true)), .stall]
    try await withTestServer(.script(script)) { server in
      let client = try await WebSocketSidecar.connect(to: server.url)
      #expect(try await client.receive(timeout: patience) == "begun")
      #expect(try await server.connection(within: patience).pongs == payloads)
      await client.shutdown(within: .zero)
    }
  }

  @Test func `nothing is sent behind our own Close`() async throws {
    let script: [TestServer.Step] = [
      .open, .receiveClose, .ping([1]), .send("late"), .ping([2]), .sendClose(1000),
    ]
    try await withTestServer(.script(script)) { server in
      let client = try await WebSocketSidecar.connect(to: server.url)
      let connection = try await server.connection(within: patience)
      try await client.close(code: 1000, reason: "")
      await #expect(throws: WebSocketError.self) { try await client.send("behind it") }
      #expect(throws: WebSocketError.self) { try client.trySend("behind it") }
      await #expect(throws: WebSocketError.self) { try await client.ping() }
      _ = try await connection.ended(within: patience)
      #expect(connection.frames.map(\.opcode) == [8])
      #expect(connection.bytesAfterClose.isEmpty)
    }
  }

  @Test(arguments: [1000, 1001, 3000, 4999, nil] as [CloseCode?])
  func `the server's Close is answered by its code, and pings behind it by nothing`(_ code: CloseCode?) async throws {
    let script: [TestServer.Step] = [
      .open, .together([.sendClose(code, reason: code == nil ? "" : "why"), .ping([1]), .send("late")]), .receiveClose,
    ]
    try await withTestServer(.script(script)) { server in
      let client = try await WebSocketSidecar.connect(to: server.url)
      let connection = try await server.connection(within: patience)
      _ = try await connection.ended(within: patience)
      #expect(connection.receivedClose == .init(code: code))
      #expect(connection.frames.map(\.opcode) == [8])
      #expect(connection.bytesAfterClose.isEmpty)
      await client.shutdown()
    }
  }

  @Test func `a violation is answered by one Close frame, and nothing behind it`() async throws {
    let script: [TestServer.Step] = [
      .open, .together([.ping([1]), .send(RawFrame(opcode: 3)), .ping([2]), .sendClose(1000)]), .receiveClose,
      .ping([3]),
    ]
    try await withTestServer(.script(script)) { server in
      let client = try await WebSocketSidecar.connect(to: server.url)
      let connection = try await server.connection(within: patience)
      _ = try await connection.ended(within: patience)
      #expect(connection.receivedClose?.code == .protocolError)
      // A Pong that was due before may stand in front of it.
      #expect(connection.pongs == [] || connection.pongs == [[1]])
      #expect(connection.frames.filter { $0.opcode == 8 }.count == 1)
      #expect(connection.bytesAfterClose.isEmpty)
      await client.shutdown()
    }
  }
}

extension WebSocketMessage {
  /// The message as a server sends it, in one frame.
  fileprivate var frame: RawFrame {
    switch self {
    case .text(let text): .text(text)
    case .binary(let payload): .binary(payload)
    }
  }
}
