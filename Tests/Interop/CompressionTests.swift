import Sidecar
import SidecarTestSupport
import Testing

@Suite(.census, .timeLimit(.minutes(10))) struct `Compression between us and a real server` {
  /// What to offer, by name.
  enum Offer: String, CaseIterable, Sendable {
    case defaults
    case withoutContexts
    case smallWindows
    case everythingCompressed

    var configuration: WebSocketConfiguration {
      var compression = WebSocketCompression()
      switch self {
      case .defaults: break
      case .withoutContexts:
        compression.serverNoContextTakeover = true
        compression.clientNoContextTakeover = true
      case .smallWindows:
        compression.serverMaxWindowBits = 9
        compression.clientMaxWindowBits = 9
      case .everythingCompressed: compression.threshold = 0
      }
      var configuration = WebSocketConfiguration()
      configuration.compression = compression
      return configuration
    }

    /// A parameter that the server's answer has only with this offer.
    var sign: String? {
      switch self {
      case .defaults, .everythingCompressed: nil
      case .withoutContexts: "client_no_context_takeover"
      case .smallWindows: "server_max_window_bits=9"
      }
    }
  }

  @Test(arguments: Skin.allCases, Offer.allCases) func `messages come back as they were sent`(
    skin: Skin, offer: Offer
  ) async throws {
    try await withClient(skin, "/extensions", configuration: offer.configuration) { client, _ in
      let extensions = try #require(try await client.receive()).description
      #expect(extensions.hasPrefix("permessage-deflate"))
      if let sign = offer.sign { #expect(extensions.contains(sign)) }
      var generator = SystemRandomNumberGenerator()
      let noise = (0..<100_000).map { _ in UInt8.random(in: 0...255, using: &generator) }
      let messages: [WebSocketMessage] = [
        "", "short", .text(String(repeating: "wiederholt, 繰り返す; ", count: 10_000)), .binary([]), .binary(noise),
        .text(String(repeating: "wiederholt, 繰り返す; ", count: 10_000)), "short again",
      ]
      for message in messages {
        try await client.send(message)
        let isSame = try await client.receive() == message
        #expect(isSame)
      }
    }
  }

  @Test(arguments: Skin.allCases) func `compressed fragments arrive whole`(skin: Skin) async throws {
    try await withClient(skin, "/fragments", configuration: Offer.defaults.configuration) { client, _ in
      let expected = `Messages to and from a real server`.sentInFragments
      let received = try await client.receive(atMost: expected.count)
      #expect(received == expected)
    }
  }

  @Test(arguments: Skin.allCases) func `the largest message is measured when it is inflated`(skin: Skin) async throws {
    var configuration = Offer.defaults.configuration
    configuration.maximumMessageSize = 1 << 20
    try await withClient(skin, "/echo", configuration: configuration) { client, peer in
      try await client.send(.text(String(repeating: "x", count: 1 << 20)))
      #expect(try await client.receive()?.byteCount == 1 << 20)
      try await client.send(.text(String(repeating: "x", count: 1 << 20 + 1)))
      let error = await #expect(throws: WebSocketError.self) { try await client.receive() }
      guard case .limitExceeded(code: .messageTooBig, _) = error else {
        Issue.record("threw \(String(describing: error))")
        return
      }
      #expect(try await peer.line().hasPrefix("closed 1009"))
    }
  }

  @Test func `nothing is offered unless it is asked for`() async throws {
    try await withClient(.async, "/extensions") { client, _ in
      let extensions = try await client.receive()
      #expect(extensions == "none")
    }
  }
}
