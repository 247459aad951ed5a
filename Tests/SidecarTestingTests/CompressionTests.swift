import Sidecar
import SidecarTesting
import SidecarTestSupport
import Testing

@Suite(.census) struct `Compression` {
  private func configuration(_ change: (inout WebSocketCompression) -> Void = { _ in }) -> WebSocketConfiguration {
    var compression = WebSocketCompression()
    compression.threshold = 0
    change(&compression)
    var configuration = WebSocketConfiguration()
    configuration.compression = compression
    return configuration
  }

  private func options(_ change: (inout TestServer.Compression) -> Void = { _ in }) -> TestServer.Options {
    var options = TestServer.Options()
    var compression = TestServer.Compression()
    change(&compression)
    options.compression = compression
    return options
  }

  private let text = WebSocketMessage.text(String(repeating: "to be compressed, ", count: 100))

  @Test(arguments: [false, true], [8, 15])
  func `messages are compressed in both directions once that is agreed on`(_ noTakeover: Bool, _ bits: Int) async throws
  {
    let options = options {
      $0.serverNoContextTakeover = noTakeover
      $0.serverMaxWindowBits = bits
      $0.clientNoContextTakeover = noTakeover
      $0.clientMaxWindowBits = bits
    }
    try await withTestServer(.echo, options: options) { server in
      let client = try await WebSocketSidecar.connect(to: server.url, configuration: configuration())
      for _ in 0..<3 {
        for message in [text, [1, 2, 3], ""] {
          try await client.send(message)
          #expect(try await client.receive() == message)
        }
      }
      let connection = try await server.connection()
      #expect(connection.frames.allSatisfy { $0.rsv1 && $0.payloadLength < 1000 })
      #expect(connection.bytesSent < 3000)
      #expect(await client.shutdown().isClean)
    }
  }

  @Test func `a server without compression declines it`() async throws {
    try await withTestServer { server in
      let client = try await WebSocketSidecar.connect(to: server.url, configuration: configuration())
      try await client.send(text)
      #expect(try await client.receive() == text)
      let frames = try await server.connection().frames
      #expect(!frames.contains { $0.rsv1 })
      await client.shutdown()
    }
  }

  @Test func `messages, frames and a fire hose can be mixed while the compressor keeps its window`() async throws {
    let steps: [TestServer.Step] = [
      .open, .send(text), .send(text, fragmentSize: 5), .send(.compressed(text)), .send(.text("plain")), .send(text),
      .continue(as: .fireHose(message: text, count: 3)),
    ]
    try await withTestServer(.script(steps), options: options()) { server in
      let client = try await WebSocketSidecar.connect(to: server.url, configuration: configuration())
      for expected in [text, text, text, "plain", text, text, text, text] as [WebSocketMessage] {
        #expect(try await client.receive() == expected)
      }
      try await server.connection().perform([.send(text), .send(text)])
      #expect(try await client.receive() == text)
      #expect(try await client.receive() == text)
      #expect(await client.shutdown().isClean)
    }
  }
}
