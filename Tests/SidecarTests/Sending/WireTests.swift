import Foundation
import Sidecar
import SidecarTesting
import Testing
import SidecarProtocol
import SidecarTestSupport

/// What RFC 6455 and RFC 7692 ask of a client's bytes, as a server sees them.
@Suite(.census) struct WireTests {
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
}
