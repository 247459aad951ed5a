import Sidecar
import SidecarTestSupport
import Testing

@Suite(.census, .timeLimit(.minutes(10))) struct `Opening a connection to a real server` {
  @Test(arguments: Skin.allCases) func `messages that arrive together with the answer are delivered`(
    skin: Skin
  ) async throws {
    try await withClient(skin, "/greet") { client, _ in
      let greetings = try await client.receive(atMost: 10)
      #expect(greetings == (0..<10).map { .text("greeting \($0)") })
    }
  }

  @Test(arguments: Skin.allCases) func `the server sees the target and the headers`(skin: Skin) async throws {
    var configuration = WebSocketConfiguration()
    configuration.headers = [("Authorization", "Bearer 42"), ("X-Twice", "one"), ("X-Twice", "two; three")]
    let path = "/request?name=caf%C3%A9&empty="
    try await withClient(skin, path, configuration: configuration) { client, peer in
      let lines = try await client.receive(atMost: .max)
      #expect(lines.first == .text(path))
      #expect(lines.contains("Host: 127.0.0.1:\(peer.port)"))
      #expect(lines.contains("Authorization: Bearer 42"))
      let twice = lines.filter { "\($0)".hasPrefix("X-Twice") }
      #expect(twice == ["X-Twice: one", "X-Twice: two; three"])
    }
  }

  @Test(arguments: Skin.allCases) func `the server chooses among the subprotocols`(skin: Skin) async throws {
    for (offered, chosen) in [
      (["chat.v1", "chat.v2"], "chat.v2"), (["nonsense", "chat.v1"], "chat.v1"), (["nonsense"], nil), ([], nil),
    ] as [([String], String?)] {
      var configuration = WebSocketConfiguration()
      configuration.subprotocols = offered
      try await withClient(skin, "/subprotocol", configuration: configuration) { client, _ in
        #expect(client.sidecar.subprotocol == chosen)
        let seenByTheServer = try await client.receive()
        #expect(seenByTheServer == .text(chosen ?? "none"))
      }
    }
  }

  @Test(arguments: Skin.allCases) func `a host's name is resolved`(skin: Skin) async throws {
    try await withPeer { peer in
      let client = try await Client.connect(skin, to: "ws://localhost:\(peer.port)/echo")
      #expect(client.sidecar.remoteAddress == "127.0.0.1:\(peer.port)")
      try await client.shutdown()
    }
  }

  @Test(arguments: Skin.allCases) func `a refusal is thrown with all that the server said`(skin: Skin) async throws {
    try await withPeer { peer in
      let error = await #expect(throws: WebSocketError.self) {
        try await Client.connect(skin, to: peer.url("/refuse"))
      }
      guard case .handshakeRefused(let refusal) = error else {
        Issue.record("threw \(String(describing: error))")
        return
      }
      #expect(refusal.status == 401)
      #expect(refusal.reason == "Unauthorized")
      #expect(refusal.headers.contains { $0.name == "WWW-Authenticate" && $0.value == #"Bearer realm="interop""# })
      #expect(String(decoding: refusal.body, as: UTF8.self) == "Not without a ticket.\n")
    }
  }

  @Test(arguments: Skin.allCases) func `a server that accepts but never answers costs the handshake's time`(
    skin: Skin
  ) async throws {
    try await withPeer { peer in
      peer.freeze()
      var configuration = WebSocketConfiguration()
      configuration.handshakeTimeout = .milliseconds(200)
      let start = ContinuousClock.now
      await #expect(throws: WebSocketError.timedOut(.openingHandshake)) {
        try await Client.connect(skin, to: peer.url("/echo"), configuration: configuration)
      }
      #expect(ContinuousClock.now - start >= .milliseconds(200))
    }
  }
}
