import Sidecar
import SidecarTestSupport
import Testing

@Suite(.census, .timeLimit(.minutes(10))) struct `A real server that breaks` {
  @Test(arguments: Skin.allCases) func `killed between messages, it fails the receiver`(skin: Skin) async throws {
    try await withClient(skin, "/silent") { client, peer in
      async let receiving = failure { _ = try await client.receive() }
      try await client.ping()
      peer.crash()
      await #expect(receiving?.isConnectionLost == true)
      try await expectLost(client)
    }
  }

  @Test(arguments: Skin.allCases) func `killed in the middle of the traffic, it fails both directions`(
    skin: Skin
  ) async throws {
    try await withClient(skin, "/echo") { client, peer in
      async let sending = failure { while true { try await client.send("again") } }
      #expect(try await client.receive(atMost: 100).count == 100)
      peer.crash()
      let receiving = await failure { while try await client.receive() != nil {} }
      #expect(receiving?.isConnectionLost == true)
      await #expect(sending?.isConnectionLost == true)
      try await expectLost(client)
    }
  }

  @Test(arguments: Skin.allCases) func `killed while it does not read, it fails every call that waits`(
    skin: Skin
  ) async throws {
    try await withClient(skin, "/deaf") { client, peer in
      try await fillOutbox(of: client)
      // Where a busy machine had only not found the time to write, there is still room for a few.
      async let sending = failure { while true { try await client.send("no room for this") } }
      async let pinging = failure { try await client.ping() }
      async let receiving = failure { _ = try await client.receive() }
      peer.crash()
      await #expect(sending?.isConnectionLost == true)
      await #expect(pinging?.isConnectionLost == true)
      await #expect(receiving?.isConnectionLost == true)
      try await expectLost(client)
    }
  }

  /// Whatever is asked of the client now fails at once, and with the same error.
  private func expectLost(_ client: Client) async throws {
    let status = try client.statusOfEnd()
    #expect(status.code == .abnormalClosure)
    #expect(!status.wasClean)
    let error = try #require(status.error)
    #expect(error.isConnectionLost)
    #expect(await failure { try await client.send("too late") } == error)
    #expect(await failure { try await client.ping() } == error)
    #expect(await failure { _ = try await client.receive() } == error)
    #expect(await failure { _ = try await client.receive(atMost: .max) } == error)
    #expect(try await client.close() == status)
    let report = try await client.shutdown()
    #expect(report.isClean)
    #expect(report.closeStatus == status)
  }
}

/// The error that `body` throws.
private func failure(of body: () async throws -> Void) async -> WebSocketError? {
  do {
    try await body()
    return nil
  } catch {
    return error as? WebSocketError
  }
}

extension WebSocketError {
  fileprivate var isConnectionLost: Bool {
    if case .connectionLost = self { true } else { false }
  }
}

/// Sends until neither the server, nor the kernel, nor the outbound queue takes any more.
func fillOutbox(of client: Client) async throws {
  let chunk = WebSocketMessage.binary([UInt8](repeating: 0, count: 1 << 20))
  await #expect(throws: WebSocketError.timedOut(.send)) {
    while true { try await client.send(chunk, timeout: .milliseconds(200)) }
  }
}
