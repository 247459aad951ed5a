import Dispatch
import Glibc
import SidecarExecutor
import SidecarProtocol
import SidecarTestSupport
import SidecarTesting
import SidecarTransport
import Testing

@testable import Sidecar

/// What RFC 6455 asks of a client's bytes when a connection closes, as a server sees them.
@Suite struct ClosingWireTests {
  private let patience = Duration.seconds(120)

  @Test func `nothing is sent behind our own Close`() async throws {
    let script: [TestServer.Step] = [
      .open, .receiveClose, .ping([1]), .send("late"), .ping([2]), .sendClose(1000),
    ]
    try await withTestServer(.script(script)) { server in
      let client = try await WebSocketSidecar.connect(to: server.url)
      let connection = try await server.connection(within: patience)
      try await client.close(code: 1000, reason: "")
      await #expect(throws: WebSocketError.self) { try await client.send("behind it") }
      #expect(throws: WebSocketError.self) { try client.trySend("behind it") }
      await #expect(throws: WebSocketError.self) { try await client.ping() }
      _ = try await connection.ended(within: patience)
      #expect(connection.frames.map(\.opcode) == [8])
      #expect(connection.bytesAfterClose.isEmpty)
    }
  }

  @Test(arguments: [1000, 1001, 3000, 4999, nil] as [CloseCode?])
  func `the server's Close is answered by its code, and pings behind it by nothing`(_ code: CloseCode?) async throws {
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

  @Test func `a violation is answered by one Close frame, and nothing behind it`() async throws {
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
