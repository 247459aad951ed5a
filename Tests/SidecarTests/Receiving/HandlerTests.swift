@testable import Sidecar
import SidecarExecutor
import SidecarProtocol
import SidecarTestSupport
import SidecarTesting
import Testing

/// A message handler that answers.
@Suite(.census) struct HandlerTests {
  /// The README's.
  private static let echo: MessageHandler = { sidecar, kind, bytes in _ = try? sidecar.trySend(kind, bytes) }

  @Test func `a message before a violation in the same read is answered before the Close frame`() async throws {
    let reserved = RawFrame(opcode: 1, rsv2: true, payload: [1])
    let server = try TestServer(behavior: .script([.open, .together([.send("valid"), .send(reserved)])]))
    let client = try await WebSocketSidecar.connect(to: server.url, handler: Self.echo)
    let connection = try await server.connection()
    #expect(try await connection.receivedClose().code == .protocolError)
    #expect(connection.messages == ["valid"])
    #expect(connection.frames.map(\.opcode) == [1, 8])
    await client.shutdown()
    #expect(await server.stop())
  }

  @Test func `a message before a Close frame in the same read is answered before the Close frame`() async throws {
    let server = try TestServer(behavior: .script([.open, .together([.send("valid"), .sendClose()])]))
    let client = try await WebSocketSidecar.connect(to: server.url, handler: Self.echo)
    let connection = try await server.connection()
    _ = try await connection.receivedClose()
    #expect(connection.messages == ["valid"])
    await client.shutdown()
    #expect(await server.stop())
  }

  @Test func `Pongs keep their order with the answers`() async throws {
    let server = try TestServer(
      behavior: .script([.open, .together([.ping([1]), .send("1"), .ping([2]), .ping([3]), .send("2")])]))
    let client = try await WebSocketSidecar.connect(to: server.url, handler: Self.echo)
    let connection = try await server.connection()
    _ = try await connection.messages(count: 2)
    #expect(connection.frames.map(\.opcode) == [10, 1, 10, 10, 1])
    await client.shutdown()
    #expect(await server.stop())
  }

  @Test func `an echo handler loses nothing while the peer does not read`() async throws {
    let count = 300
    let received = Promise<[UInt8]>()
    let peer = try RawPeer { stream in
      try stream.open()
      let written = Promise<Void>()
      let isBlocked = Promise<Void>()
      Task {
        try await onThread {
          for index in 0..<count {
            try stream.write(
              RawFrame.binary([UInt8(index & 0xFF)] + [UInt8](repeating: 9, count: (64 << 10) - 1)).bytes)
            if index == count / 4 { isBlocked.complete(()) }
          }
          written.complete(())
        }
      }
      // Everything on the way is full by then, or was once.
      _ = isBlocked.wait(until: .after(.milliseconds(300)))
      _ = written.wait(until: .after(.milliseconds(300)))
      var order: [UInt8] = []
      for _ in 0..<count {
        let frame = try stream.readFrame()
        if frame.payload.count == 64 << 10, frame.payload[1...].allSatisfy({ $0 == 9 }) {
          order.append(frame.payload[0])
        }
      }
      received.complete(order)
    }
    let client = try await WebSocketSidecar.connect(to: peer.url, handler: Self.echo)
    try await peer.end()
    #expect(await received.uncancellableValue() == (0..<count).map { UInt8($0 & 0xFF) })
    await client.shutdown(within: .zero)
  }

  @Test func `a peer that neither reads nor lives on ends a connection that waits for it`() async throws {
    let mayReset = Promise<Void>()
    let frame = RawFrame.binary([UInt8](repeating: 9, count: 16 << 10)).bytes
    let peer = try RawPeer { stream in
      try stream.open()
      _ = stream.fill(with: frame)
      _ = mayReset.wait(until: .after(patience))
      stream.reset()
    }
    var configuration = WebSocketConfiguration()
    configuration.outboundCapacity = 64 << 10
    let client = try await WebSocketSidecar.connect(
      to: peer.url, configuration: configuration, handler: Self.echo)
    #expect(await eventually { () async in await client.isPausedByHandler() })
    mayReset.complete(())
    try await peer.end()
    #expect(
      await eventually(within: .seconds(5) * Int(slack / .milliseconds(100))) { () async in client.closeStatus != nil })
    #expect(client.closeStatus?.code == .abnormalClosure)
    await client.shutdown(within: .zero)
  }
}
