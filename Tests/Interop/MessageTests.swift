import Sidecar
import SidecarTestSupport
import Testing

@Suite(.census, .timeLimit(.minutes(10))) struct `Messages to and from a real server` {
  @Test(arguments: Skin.allCases) func `text comes back as it was sent`(skin: Skin) async throws {
    let texts = ["hello", "grüße", "漢字", "🛵", "\u{0}", "a\nb\r\n", String(repeating: "ab", count: 40_000)]
    try await expectEcho(skin, of: texts.map { .text($0) })
  }

  @Test(arguments: Skin.allCases) func `bytes come back as they were sent`(skin: Skin) async throws {
    // Around every length at which the frame's header or the read buffer changes.
    let lengths = [1, 125, 126, 127, 65_535, 65_536, 65_537, 200_000]
    try await expectEcho(
      skin, of: lengths.map { length in .binary((0..<length).map { UInt8(truncatingIfNeeded: $0) }) })
  }

  @Test(arguments: Skin.allCases) func `empty messages keep their kind`(skin: Skin) async throws {
    try await expectEcho(skin, of: [.text(""), .binary([]), .text("")])
  }

  @Test(arguments: Skin.allCases) func `messages of exactly the largest size pass`(skin: Skin) async throws {
    let size = WebSocketConfiguration().maximumMessageSize
    #expect(size == 16 << 20)
    try await expectEcho(
      skin, of: [.text(String(repeating: "x", count: size)), .binary([UInt8](repeating: 0xA5, count: size))])
  }

  @Test(arguments: Skin.allCases) func `one byte more than the largest size ends the connection with 1009`(
    skin: Skin
  ) async throws {
    var configuration = WebSocketConfiguration()
    configuration.maximumMessageSize = 1000
    try await withClient(skin, "/echo", configuration: configuration) { client, peer in
      try await client.send(.text(String(repeating: "x", count: 1000)))
      #expect(try await client.receive()?.byteCount == 1000)
      try await client.send(.text(String(repeating: "x", count: 1001)))
      let error = await #expect(throws: WebSocketError.self) { try await client.receive() }
      guard case .limitExceeded(code: .messageTooBig, _) = error else {
        Issue.record("threw \(String(describing: error))")
        return
      }
      #expect(try await peer.line().hasPrefix("closed 1009"))
      #expect(try client.statusOfEnd().error == error)
    }
  }

  @Test(arguments: Skin.allCases) func `messages that the server sends in fragments arrive whole`(
    skin: Skin
  ) async throws {
    try await withClient(skin, "/fragments") { client, _ in
      let received = try await client.receive(atMost: Self.sentInFragments.count)
      #expect(received == Self.sentInFragments)
    }
  }

  @Test(arguments: Skin.allCases) func `ten thousand short lines come back in order`(skin: Skin) async throws {
    let lines = (0..<10_000).map { WebSocketMessage.text("line \($0)") }
    try await withClient(skin, "/echo") { client, _ in
      async let sent: Void = client.send(all: lines)
      let received = try await client.receive(atMost: lines.count)
      try await sent
      // Not the arrays themselves, which a failure would print.
      #expect(received.count == lines.count)
      #expect(zip(received, lines).first { $0 != $1 } == nil)
    }
  }

  @Test func `the stream of messages brings what arrives and ends with the connection`() async throws {
    try await withClient(.async, "/greet") { client, _ in
      var received: [WebSocketMessage] = []
      for await message in client.sidecar.messages {
        received.append(message)
        if received.count == 10 { try await client.close() }
      }
      #expect(received == (0..<10).map { .text("greeting \($0)") })
      #expect(client.closeStatus?.isOrderly == true)
    }
  }

  /// What the server's path `/fragments` sends.
  static let sentInFragments: [WebSocketMessage] = [
    "one, zwölf, 漢字", [0x00, 0x01, 0x02, 0xFF], "", .text(String((0..<1000).map { Character("\($0 % 10)") })),
    "before and after",
  ]

  private func expectEcho(_ skin: Skin, of messages: [WebSocketMessage]) async throws {
    try await withClient(skin, "/echo") { client, _ in
      for message in messages {
        try await client.send(message)
        let answer = try await client.receive()
        #expect(answer?.kind == message.kind)
        #expect(answer?.byteCount == message.byteCount)
        // Not the messages themselves, which a failure would print.
        let isSame = answer == message
        #expect(isSame)
      }
    }
  }
}
