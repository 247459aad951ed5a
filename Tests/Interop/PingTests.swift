import Sidecar
import SidecarTestSupport
import Testing

@Suite(.census, .timeLimit(.minutes(10))) struct `Pings to and from a real server` {
  @Test(arguments: Skin.allCases) func `the server answers ours`(skin: Skin) async throws {
    try await withClient(skin, "/silent") { client, _ in
      for payload in [nil, [], [1, 2, 3], [UInt8](repeating: 0, count: 125)] as [[UInt8]?] {
        let roundTrip = try await client.ping(payload)
        #expect(roundTrip > .zero)
        #expect(roundTrip < patience)
      }
    }
  }

  @Test(arguments: Skin.allCases) func `many at a time are all answered`(skin: Skin) async throws {
    try await withClient(skin, "/echo") { client, _ in
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<20 {
          group.addTask { try await client.ping() }
        }
        try await group.waitForAll()
      }
    }
  }

  @Test(arguments: Skin.allCases) func `we answer the server's, although nobody receives`(skin: Skin) async throws {
    try await withClient(skin, "/ping") { client, _ in
      guard case .text(let answer) = try await client.receive() else {
        Issue.record("the server had no Pong")
        return
      }
      #expect(answer.wholeMatch(of: #/pong after [0-9.e-]+ s/#) != nil)
    }
  }

  @Test(arguments: Skin.allCases) func `one that is too long is refused, and the connection goes on`(
    skin: Skin
  ) async throws {
    try await withClient(skin, "/echo") { client, _ in
      await #expect(throws: WebSocketError.pingTooLong(byteCount: 126)) {
        try await client.ping([UInt8](repeating: 0, count: 126))
      }
      try await client.ping()
    }
  }
}
