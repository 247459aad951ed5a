import Sidecar
import SidecarProtocol
import SidecarTestSupport
import SidecarTesting
import Testing

/// Answering the peer's Pings (RFC 6455 §5.5.2 and §5.5.3).
@Suite(.census) struct PongTests {
  private let pings = (0..<10).map { [UInt8($0)] }

  @Test func `ten Pings in one read get ten Pongs`() async throws {
    let server = try TestServer(behavior: .script([.open, .together(pings.map { .ping($0) })]))
    let client = try await WebSocketSidecar.connect(to: server.url)
    let connection = try await server.connection()
    #expect(try await connection.pongs(count: 10) == pings)
    await client.shutdown()
    #expect(await server.stop())
  }

  @Test func `a peer that does not read gets one Pong, for its latest Ping, after what was sent before`() async throws {
    let (isFull, mayRead) = (TestServer.Gate(), TestServer.Gate())
    let script: [TestServer.Step] = [
      .open, .stopReading, .waitFor(isFull), .together(pings.map { .ping($0) } + [.send("seen")]), .waitFor(mayRead),
      .resumeReading,
    ]
    var options = TestServer.Options()
    options.receiveBufferSize = 16 << 10
    let server = try TestServer(behavior: .script(script), options: options)
    let client = try await WebSocketSidecar.connect(to: server.url)
    var sent = 0
    let message = WebSocketMessage.binary(WebSocketPayload([UInt8](repeating: 1, count: 64 << 10)))
    // Full, and the kernel takes no more: nothing has been written for a while.
    repeat {
      while try client.trySend(message) { sent += 1 }
      try await Task.sleep(for: .milliseconds(50))
    } while try client.trySend(message)
      && {
        sent += 1; return true
      }()
    isFull.open()
    #expect(try await client.receive() == "seen")
    mayRead.open()
    let connection = try await server.connection()
    #expect(try await connection.pongs(count: 1) == [pings[9]])
    #expect(connection.messageCount == sent)
    // Another exchange shows that nothing comes later.
    try await client.ping()
    #expect(connection.pongs == [pings[9]])
    await client.shutdown()
    #expect(await server.stop())
  }

  @Test func `a Ping between messages does not hold them up`() async throws {
    let server = try TestServer(
      behavior: .script([.open, .together([.send("1"), .ping([1]), .send("2"), .ping([2]), .send("3")])]))
    let client = try await WebSocketSidecar.connect(to: server.url)
    for text in ["1", "2", "3"] { #expect(try await client.receive() == .text(text)) }
    #expect(try await server.connection().pongs(count: 2) == [[1], [2]])
    await client.shutdown()
    #expect(await server.stop())
  }
}
