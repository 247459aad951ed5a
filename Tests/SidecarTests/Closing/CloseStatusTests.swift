import Sidecar
import SidecarExecutor
import SidecarProtocol
import SidecarTestSupport
import SidecarTesting
import Testing

/// What is known at the moment when the end of a connection is told.
@Suite(.aloneWithCensus) struct CloseStatusTests {
  /// How often each race is run. Set `SIDECAR_TEST_ROUNDS=10000` after a change to the closing handshake.
  private static let rounds = ProcessInfoLite.environment("SIDECAR_TEST_ROUNDS").flatMap(Int.init) ?? 200

  /// How a receiver learns of the end.
  enum Receiver: CaseIterable {
    case messages, inbound, receive, blocking
  }

  /// What the server does after three messages.
  enum Peer: CaseIterable {
    case closes, closesAndLeavesTheStreamOpen, endsTheStream, resets, breaksTheProtocol

    var script: [TestServer.Step] {
      let messages: [TestServer.Step] = [.open, .send("1"), .send("2"), .send("3")]
      switch self {
      case .closes: return messages + [.sendClose(CloseCode(4001))]
      case .closesAndLeavesTheStreamOpen: return messages + [.sendClose(CloseCode(4001)), .continue(as: .silent)]
      case .endsTheStream: return messages + [.endOfStream]
      case .resets: return messages + [.reset]
      case .breaksTheProtocol: return messages + [.sendRaw([0xFF, 0xFF])]
      }
    }

    var code: CloseCode {
      switch self {
      case .closes, .closesAndLeavesTheStreamOpen: CloseCode(4001)
      case .endsTheStream, .resets: .abnormalClosure
      case .breaksTheProtocol: .protocolError
      }
    }
  }

  @Test(arguments: Receiver.allCases, Peer.allCases)
  func `the status is there as soon as a receiver is told of the end`(_ receiver: Receiver, _ peer: Peer) async throws {
    let server = try Self.server(peer.script)
    let thread = try SidecarThread()
    var missing = 0
    for _ in 0..<Self.rounds {
      let client = try WebSocketSidecar(server.url, on: thread)
      let status = try await Self.statusAtEnd(of: client, receiver)
      if status?.code != peer.code { missing += 1 }
      // At once: the peer may leave the stream open.
      await client.shutdown(within: .zero)
    }
    #expect(missing == 0, "of \(Self.rounds)")
    #expect(await thread.shutdown())
    #expect(await server.stop())
  }

  @Test(arguments: Receiver.allCases, [TestServer.Behavior.echo, .silent])
  func `the status is there when a shutdown in another task ends the receiving`(
    _ receiver: Receiver, _ behavior: TestServer.Behavior
  ) async throws {
    var options = TestServer.Options()
    options.keepsEndedConnections = false
    let server = try TestServer(behavior: behavior, options: options)
    let thread = try SidecarThread()
    var missing = 0
    for _ in 0..<Self.rounds {
      let client = try await WebSocketSidecar.connect(to: server.url, on: thread)
      async let shutdown = client.shutdown(within: .milliseconds(2))
      if try await Self.statusAtEnd(of: client, receiver) == nil { missing += 1 }
      _ = await shutdown
    }
    #expect(missing == 0, "of \(Self.rounds)")
    #expect(await thread.shutdown())
    #expect(await server.stop())
  }

  private static func server(_ script: [TestServer.Step]) throws -> TestServer {
    var options = TestServer.Options()
    options.keepsEndedConnections = false
    return try TestServer(behavior: .script(script), options: options)
  }

  /// Receives until the end is told, and returns the status of that moment.
  private static func statusAtEnd(of client: WebSocketSidecar, _ receiver: Receiver) async throws -> CloseStatus? {
    switch receiver {
    case .messages:
      for await _ in client.messages {}
      return client.closeStatus
    case .inbound:
      do { for try await _ in client.inbound {} } catch {}
      return client.closeStatus
    case .receive:
      do { while try await client.receive() != nil {} } catch {}
      return client.closeStatus
    case .blocking:
      return try await onThread {
        let socket = BlockingWebSocket(client)
        do { while try socket.receive() != nil {} } catch {}
        return socket.closeStatus
      }
    }
  }

  // MARK: A full inbox

  @Test func `a full inbox does not hold up the closing handshake`() async throws {
    let count = 4096
    var options = TestServer.Options()
    options.sendBufferSize = 64 << 10
    let message = WebSocketMessage.binary(WebSocketPayload([UInt8](repeating: 7, count: 1024)))
    let script: [TestServer.Step] = [
      .open, .repeat(times: count, [.send(message)]), .receiveClose, .sendClose(.normalClosure),
    ]
    let server = try TestServer(behavior: .script(script), options: options)
    var configuration = WebSocketConfiguration()
    configuration.inboundCapacity = 256 << 10
    let client = try await WebSocketSidecar.connect(to: server.url, configuration: configuration)
    let connection = try await server.connection()
    try await connection.sendingBlocked()
    let begin = ContinuousClock.now
    let status = try await client.close()
    #expect(ContinuousClock.now - begin < .seconds(1) + slack)
    #expect(status.code == .normalClosure && status.wasClean && status.initiator == .us)
    #expect(status.droppedMessageCount > 0)
    #expect(client.closeStatus == status)
    var received = 0
    while try await client.receive() != nil { received += 1 }
    #expect(received + status.droppedMessageCount == count)
    #expect(received >= (configuration.inboundCapacity / (1024 + 48)))
    #expect(await client.shutdown().isClean)
    #expect(try await connection.ended().isClean)
    #expect(await server.stop())
  }

  @Test func `messages that come while closing are kept as far as there is room`() async throws {
    let count = 100
    let message = WebSocketMessage.binary(WebSocketPayload([UInt8](repeating: 7, count: 1000)))
    let script: [TestServer.Step] = [
      .open, .receiveClose, .together([.repeat(times: count, [.send(message)]), .sendClose()]),
    ]
    let server = try TestServer(behavior: .script(script))
    var configuration = WebSocketConfiguration()
    configuration.inboundCapacity = 32 << 10
    let client = try await WebSocketSidecar.connect(to: server.url, configuration: configuration)
    let status = try await client.close()
    var received = 0
    while try await client.receive() != nil { received += 1 }
    #expect(received >= 32, "nothing was unread")
    #expect(received + status.droppedMessageCount == count)
    await client.shutdown()
    #expect(await server.stop())
  }

  // MARK: The end of a shared thread

  @Test func `sidecars whose thread is ended report that, and are over`() async throws {
    let server = try TestServer(behavior: .silent)
    let thread = try SidecarThread()
    var clients: [WebSocketSidecar] = []
    for _ in 0..<10 { clients.append(try await WebSocketSidecar.connect(to: server.url, on: thread)) }
    // One that is still being opened, and one that receives.
    var full: TestServer.FullPort? = try TestServer.fullPort()
    clients.append(try WebSocketSidecar(try #require(full).url, on: thread))
    let first = clients[0]
    let receiving = Task { try await first.receive() }
    #expect(await thread.shutdown())
    for client in clients {
      #expect(client.closeStatus?.error == .threadEnded)
      #expect(client.closeStatus?.code == .abnormalClosure)
    }
    #expect(LiveCounts.current.sidecars == 0)
    await #expect(throws: WebSocketError.threadEnded) { try await receiving.value }
    let begin = ContinuousClock.now
    for client in clients {
      let report = await client.shutdown(within: .seconds(5))
      #expect(report.abandoned.isEmpty && report.closeStatus?.error == .threadEnded, "\(report)")
    }
    #expect(ContinuousClock.now - begin < slack)
    full = nil
    #expect(await server.stop())
    #expect(LiveCounts.current == .zero)
  }
}
