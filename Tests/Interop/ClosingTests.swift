import Sidecar
import SidecarTestSupport
import Testing

@Suite(.census, .timeLimit(.minutes(10))) struct `Closing a connection to a real server` {
  @Test(arguments: Skin.allCases, [1000, 1001] as [CloseCode]) func `the server closes in order, and receiving ends`(
    skin: Skin, code: CloseCode
  ) async throws {
    try await withClient(skin, "/close?code=\(code.rawValue)&reason=gr%C3%BC%C3%9Fe") { client, peer in
      #expect(try await client.receive(atMost: .max) == ["last words"])
      let status = try client.statusOfEnd()
      #expect(status == CloseStatus(code: code, reason: "grüße", initiator: .peer, error: nil))
      #expect(status.isOrderly)
      #expect(try await peer.line() == "closed \(code.rawValue) ")
      // Whatever is asked now is answered with the same status.
      #expect(try await client.receive() == nil)
      await #expect(throws: WebSocketError.closed(status)) { try await client.send("too late") }
      await #expect(throws: WebSocketError.closed(status)) { try await client.ping() }
      #expect(try await client.close() == status)
      #expect(try await client.shutdown().closeStatus == status)
    }
  }

  @Test(arguments: Skin.allCases, [1011, 4000] as [CloseCode])
  func `the server closes with a complaint, and it is thrown`(
    skin: Skin, code: CloseCode
  ) async throws {
    try await withClient(skin, "/close?code=\(code.rawValue)&reason=enough") { client, peer in
      let lastWords = try await client.receive()
      #expect(lastWords == "last words")
      let expected = CloseStatus(code: code, reason: "enough", initiator: .peer, error: nil)
      await #expect(throws: WebSocketError.closed(expected)) { try await client.receive(atMost: .max) }
      await #expect(throws: WebSocketError.closed(expected)) { try await client.receive() }
      #expect(try client.statusOfEnd() == expected)
      #expect(expected.wasClean)
      #expect(!expected.isOrderly)
      #expect(try await peer.line() == "closed \(code.rawValue) ")
    }
  }

  @Test(
    arguments: Skin.allCases,
    [(1000, ""), (1001, "leaving"), (3000, "registered"), (4999, String(repeating: "ü", count: 61))]
      as [(CloseCode, String)])
  func `the client closes, and the server sees the code and the reason`(
    skin: Skin, close: (code: CloseCode, reason: String)
  ) async throws {
    try await withClient(skin, "/echo") { client, peer in
      let status = try await client.close(code: close.code, reason: close.reason)
      #expect(status == CloseStatus(code: close.code, reason: close.reason, initiator: .us, error: nil))
      #expect(try await peer.line() == "closed \(close.code.rawValue) \(close.reason)")
      #expect(try await client.receive() == nil)
      #expect(client.closeStatus == status)
    }
  }

  @Test(arguments: Skin.allCases) func `what was sent before the close arrives before it`(skin: Skin) async throws {
    try await withClient(skin, "/count") { client, peer in
      try await client.send(all: (0..<200).map { .text("message \($0)") })
      #expect(try await client.close().wasClean)
      #expect(try await peer.line() == "received 200")
      #expect(try await peer.line() == "closed 1000 ")
    }
  }

  @Test(arguments: Skin.allCases) func `a shutdown says goodbye with 1000`(skin: Skin) async throws {
    try await withClient(skin, "/silent") { client, peer in
      let report = try await client.shutdown()
      #expect(report.isClean)
      #expect(report.closeStatus == CloseStatus(code: .normalClosure, reason: "", initiator: .us, error: nil))
      #expect(try await peer.line() == "closed 1000 ")
    }
  }
}
