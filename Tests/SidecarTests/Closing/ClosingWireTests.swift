import SidecarProtocol
import SidecarTestSupport
import SidecarTesting
import Testing

@testable import Sidecar

/// What RFC 6455 asks of a client's bytes when a connection closes, as a server sees them.
@Suite(.census) struct ClosingWireTests {
  private let patience = Duration.seconds(120)

  @Test func `nothing is sent after our own Close`() async throws {
    let script: [TestServer.Step] = [
      .open, .receiveClose, .ping([1]), .send("late"), .ping([2]), .sendClose(1000),
    ]
    try await withTestServer(.script(script)) { server in
      let client = try await WebSocketSidecar.connect(to: server.url)
      let connection = try await server.connection(within: patience)
      try await client.close(code: 1000, reason: "")
      await #expect(throws: WebSocketError.self) { try await client.send("too late") }
      #expect(throws: WebSocketError.self) { try client.trySend("too late") }
      await #expect(throws: WebSocketError.self) { try await client.ping() }
      _ = try await connection.ended(within: patience)
      #expect(connection.frames.map(\.opcode) == [8])
      #expect(connection.bytesAfterClose.isEmpty)
    }
  }

  @Test(arguments: [1000, 1001, 3000, 4999, nil] as [CloseCode?])
  func `the server's Close is answered with its code, and pings after it are not answered`(_ code: CloseCode?)
    async throws
  {
    let script: [TestServer.Step] = [
      .open, .together([.sendClose(code, reason: code == nil ? "" : "why"), .ping([1]), .send("late")]), .receiveClose,
    ]
    try await withTestServer(.script(script)) { server in
      let client = try await WebSocketSidecar.connect(to: server.url)
      let connection = try await server.connection(within: patience)
      _ = try await connection.ended(within: patience)
      #expect(connection.receivedClose == .init(code: code))
      #expect(connection.frames.map(\.opcode) == [8])
      #expect(connection.bytesAfterClose.isEmpty)
      await client.shutdown()
    }
  }

  @Test func `a violation is answered with one Close frame, and nothing after it`() async throws {
    let script: [TestServer.Step] = [
      .open, .together([.ping([1]), .send(RawFrame(opcode: 3)), .ping([2]), .sendClose(1000)]), .receiveClose,
      .ping([3]),
    ]
    try await withTestServer(.script(script)) { server in
      let client = try await WebSocketSidecar.connect(to: server.url)
      let connection = try await server.connection(within: patience)
      _ = try await connection.ended(within: patience)
      #expect(connection.receivedClose?.code == .protocolError)
      // A Pong that was due before may stand in front of it.
      #expect(connection.pongs == [] || connection.pongs == [[1]])
      #expect(connection.frames.filter { $0.opcode == 8 }.count == 1)
      #expect(connection.bytesAfterClose.isEmpty)
      await client.shutdown()
    }
  }
}
