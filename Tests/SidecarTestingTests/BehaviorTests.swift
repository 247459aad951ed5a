import Sidecar
import SidecarTesting
import TestSupport
import Testing

@Suite struct `Behaviors` {
  @Test func `an echo server sends text back as text and binary as binary`() async throws {
    try await withTestServer(.echo) { server in
      let client = try await WebSocketSidecar.connect(to: server.url)
      let messages: [WebSocketMessage] = ["hello", [0xCA, 0xFE], "", [], .text(String(repeating: "ü", count: 100_000))]
      for message in messages {
        try await client.send(message)
        #expect(try await client.receive() == message)
      }
      #expect(try await server.connection().messages == messages)
      let status = try await client.close()
      #expect(status.code == .normalClosure)
      #expect(status.wasClean)
      let ending = try await server.connection().ended()
      #expect(ending == .init(stream: .endOfStream, close: .init(code: .normalClosure, reason: ""), isClean: true))
      #expect(await client.shutdown().isClean)
    }
  }

  @Test func `a scripted server takes its steps in order`() async throws {
    let behavior = TestServer.Behavior.script([
      .open, .send("one"), .receiveMessage, .send("two", fragmentSize: 1), .sendClose(4001, reason: "enough"),
      .receiveClose,
    ])
    try await withTestServer(behavior) { server in
      let client = try await WebSocketSidecar.connect(to: server.url)
      #expect(try await client.receive() == "one")
      try await client.send("go on")
      #expect(try await client.receive() == "two")
      let connection = try await server.connection()
      #expect(try await connection.receivedClose().code == 4001)
      #expect(try await connection.scriptEnded() == .finished)
      #expect(try await connection.ended().isClean)
      _ = await client.shutdown()
      #expect(client.closeStatus?.code == 4001)
    }
  }
}
