import SidecarTesting
import SidecarTestSupport
import Testing

@testable import Sidecar

/// Each busy-poll of these tests is in vain, and counted as such: nobody answers.
@Suite(.census) struct `The answer to what was asked is watched for` {
  private func withSilentServer(_ body: (WebSocketSidecar) async throws -> Void) async throws {
    let server = try TestServer(behavior: .script([.open, .receiveClose, .sendClose(), .endOfStream]))
    let client = try await WebSocketSidecar.connect(to: server.url)
    try await body(client)
    #expect(await client.shutdown().isClean)
    await server.stop()
  }

  @Test func `when a receiver begins to wait for it`() async throws {
    try await withSilentServer { client in
      let before = client.busyPollMissCount
      try await client.send("question")
      #expect(client.busyPollMissCount == before)
      await #expect(throws: WebSocketError.timedOut(.receive)) {
        try await client.receive(timeout: .milliseconds(50))
      }
      #expect(client.busyPollMisses(moreThan: before))
    }
  }

  @Test func `when a receiver that waits already is to get it`() async throws {
    try await withSilentServer { client in
      let before = client.busyPollMissCount
      let receiving = Task.immediate { try await client.receive() }
      #expect(client.hasWaitingReceiver)
      #expect(client.busyPollMissCount == before)
      try await client.send("question")
      #expect(client.busyPollMisses(moreThan: before))
      receiving.cancel()
      await #expect(throws: WebSocketError.cancelled) { try await receiving.value }
      // The receiver no longer waits, so nothing is awaited.
      #expect(!client.awaitsReply)
    }
  }

  @Test func `when a thread waits for it`() async throws {
    let server = try TestServer(behavior: .script([.open, .receiveClose, .sendClose(), .endOfStream]))
    let url = server.url
    try await onThread {
      let client = try BlockingWebSocket(url)
      let before = client.sidecar.busyPollMissCount
      try client.send("question")
      #expect(throws: WebSocketError.timedOut(.receive)) { try client.receive(timeout: .milliseconds(50)) }
      #expect(client.sidecar.busyPollMisses(moreThan: before))
      #expect(client.shutdown().isClean)
    }
    await server.stop()
  }

  @Test func `but not by a receiver where nothing was asked`() async throws {
    try await withSilentServer { client in
      let before = client.busyPollMissCount
      await #expect(throws: WebSocketError.timedOut(.receive)) {
        try await client.receive(timeout: .milliseconds(50))
      }
      #expect(client.busyPollMissCount == before)
    }
  }

  @Test func `and not if bytes have arrived since`() {
    let responseHint = ResponseHint()
    #expect(responseHint.markSent())
    #expect(!responseHint.markSent())
    responseHint.bytesArrived()
    #expect(responseHint.markSent())
  }
}
