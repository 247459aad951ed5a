import Glibc
import SidecarProtocol
import SidecarTestSupport
import SidecarTesting
import Testing

@testable import Sidecar

/// What receivers get from a connection.
@Suite(.aloneWithCensus, .serialized) struct `Receiving` {
  @Test func `messages of all sizes keep what they carry, however much is read after them`() async throws {
    // As large as a read, as what is shared of it, as what is put together from two: kept until all have come.
    let sizes = (0..<200).map { [16_384, 10, 9000, 8192, 1025, 40_000, 1024, 70_000, 0][$0 % 9] }
    let messages = sizes.enumerated().map { index, size in
      index.isMultiple(of: 3)
        ? WebSocketMessage.text(String(repeating: Character(UnicodeScalar(UInt8(97 + index % 26))), count: size))
        : WebSocketMessage.binary(Array(repeating: UInt8(index), count: size))
    }
    let script: [TestServer.Step] = [.open] + messages.map { .send($0.frame) } + [.stall]
    try await withTestServer(.script(script)) { server in
      let client = try await WebSocketSidecar.connect(to: server.url)
      var received: [WebSocketMessage] = []
      while received.count < messages.count, let message = try await client.receive(timeout: patience) {
        received.append(message)
      }
      #expect(received == messages)
      await client.shutdown(within: .zero)
    }
  }

  @Test func `a loop over messages that never stop ends when its task is cancelled`() async throws {
    let server = try TestServer(behavior: .fireHose(message: "x"))
    let client = try await WebSocketSidecar.connect(to: server.url)
    // The task cancels itself at its tenth message. There is always one more, and the loop is never found waiting: but
    // what can have arrived together has a bound, and a million of them is far above it.
    let takeNote: @Sendable (Int) async throws -> Void = { count in
      if count == 10 { withUnsafeCurrentTask { $0?.cancel() } }
      try #require(count < 1_000_000)
      while client.unreadMessageCount == 0, client.closeStatus == nil { await Task.yield() }
    }
    let loops: [@Sendable () async throws -> Void] = [
      {
        var count = 0
        for try await _ in client.inbound {
          count += 1
          try await takeNote(count)
        }
      },
      {
        var count = 0
        while try await client.receive() != nil {
          count += 1
          try await takeNote(count)
        }
      },
    ]
    for loop in loops {
      await #expect(throws: WebSocketError.cancelled) { try await Task { try await loop() }.value }
    }
    // Other receivers still get messages.
    #expect(try await client.receive() == "x")
    #expect(await client.shutdown().isClean)
    await server.stop()
  }

  // MARK: A peer that is gone

  @Test func `what a peer said before it was gone is heard, although writing to it fails first`() async throws {
    let server = try TestServer(behavior: .script([.open, .continue(as: .silent)]))
    let client = try await WebSocketSidecar.connect(to: server.url)
    // Held until the peer is gone, so that nothing is read before something is written.
    await client.holdUntilPeerIsGone(thenSend: "x")
    try await server.connection().perform([.send("last words"), .reset])
    #expect(try await client.receive() == "last words")
    await #expect(throws: WebSocketError.self) { try await client.receive() }
    await client.shutdown()
    await server.stop()
  }

  @Test func `senders notice that the peer is gone although nobody receives, and receivers get the rest`()
    async throws
  {
    let server = try TestServer(behavior: .fireHose(message: .binary(Array(repeating: 1, count: 1000))))
    let client = try await WebSocketSidecar.connect(to: server.url)
    #expect(await client.inboxFills())
    try await server.connection().perform([.reset])
    // Nothing tells the test when the reset has arrived but that sending fails.
    #expect(
      await eventually { () async in
        do throws(WebSocketError) {
          _ = try await client.ping()
          return false
        } catch {
          guard case .connectionLost(let reason?) = error else { return false }
          return reason.code == ECONNRESET
        }
      })
    await #expect(throws: WebSocketError.self) { while try await client.receive() != nil {} }
    #expect(client.closeStatus != nil)
    await client.shutdown()
    await server.stop()
  }

  // MARK: The kernel's buffers

  @Test func `a connection within the same host does not let the kernel buffer megabytes`() async throws {
    let server = try TestServer(behavior: .fireHose(message: .binary([UInt8](repeating: 7, count: 1 << 16))))
    let client = try await WebSocketSidecar.connect(to: server.url)
    // Read as fast as it goes, the kernel would by now have let the buffer grow.
    var received = 0
    for try await message in client.inbound {
      received += message.byteCount
      if received >= 64 << 20 { break }
    }
    let size = await client.kernelReceiveBuffer()
    #expect(size > 0 && size <= WebSocketSidecar.sameHostReceiveBufferLimit)
    #expect(await client.shutdown().isClean)
    await server.stop()
  }
}

extension WebSocketMessage {
  /// The message as a server sends it, in one frame.
  fileprivate var frame: RawFrame {
    switch self {
    case .text(let text): .text(text)
    case .binary(let payload): .binary(payload)
    }
  }
}
