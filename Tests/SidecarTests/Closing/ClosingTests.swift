import Dispatch
import Glibc
import SidecarExecutor
import SidecarProtocol
import SidecarTestSupport
import SidecarTesting
import Testing

@testable import Sidecar

/// How a connection closes, and what its callers are told.
@Suite(.aloneWithCensus, .serialized) struct `Closing` {
  // MARK: Time limits

  @Test func `a close has a deadline of its own, and refuses messages at once`() async throws {
    let server = try TestServer(behavior: .echo)
    let gate = DispatchSemaphore(value: 0)
    let client = try await WebSocketSidecar.held(at: server.url, until: gate)
    let closing = Task.immediate { () -> Result<CloseStatus, WebSocketError> in
      do throws(WebSocketError) {
        return .success(try await client.close(timeout: .milliseconds(20)))
      } catch {
        return .failure(error)
      }
    }
    #expect(throws: WebSocketError.closed(nil)) { try client.trySend("x") }
    #expect(await closing.value == .failure(.timedOut(.closingHandshake)))
    gate.signal()
    await client.shutdown()
    await server.stop()
  }

  @Test func `a close that the peer does not answer tells how the connection ended`() async throws {
    let server = try TestServer(behavior: .silent)
    for _ in 0..<20 {
      let client = try await WebSocketSidecar.connect(to: server.url)
      let status = try await client.close(timeout: .milliseconds(20))
      #expect(status.error == .timedOut(.closingHandshake))
      await client.shutdown()
    }
    await server.stop()
  }

  @Test func `a close that had timed out before is not reported as a step that timed out`() async throws {
    let server = try TestServer(behavior: .silent)
    let client = try await WebSocketSidecar.connect(to: server.url)
    try client.startClosing(timeout: .milliseconds(10))
    #expect(await client.connectionEnded().error == .timedOut(.closingHandshake))
    let report = await client.shutdown()
    #expect(report.isClean, "\(report)")
    await server.stop()
  }

  @Test func `a close with more time does not take the place of one with less`() async throws {
    let server = try TestServer(behavior: .silent)
    let client = try await WebSocketSidecar.connect(to: server.url)
    let begin = ContinuousClock.now
    for timeout in [Duration.milliseconds(10), .seconds(600)] {
      try client.startClosing(timeout: timeout)
    }
    #expect(await client.connectionEnded().error == .timedOut(.closingHandshake))
    #expect(ContinuousClock.now - begin < .seconds(300))
    await client.shutdown()
    await server.stop()
  }

  @Test func `a peer that answers Close and does not end the stream is not waited for`() async throws {
    let server = try TestServer(
      behavior: .script([.open, .receiveClose, .sendClose(), .continue(as: .silent)]))
    let client = try await WebSocketSidecar.connect(to: server.url)
    let begin = ContinuousClock.now
    let status = try await client.close(timeout: .seconds(60))
    #expect(status.error == nil)
    #expect(ContinuousClock.now - begin < .seconds(20))
    #expect(await client.shutdown().isClean)
    await server.stop()
  }

  // MARK: What callers are told

  @Test func `a connection ends once, however often it is told to`() async throws {
    let server = try TestServer(behavior: .echo)
    let endings = Tally()
    var configuration = WebSocketConfiguration()
    configuration.onLog = { if case .connectionEnded = $0 { endings.add() } }
    let client = try await WebSocketSidecar.connect(to: server.url, configuration: configuration)
    let status = try await client.close()
    await client.endConnectionAgain()
    #expect(client.closeStatus == status)
    await client.shutdown()
    #expect(endings.count == 1)
    await server.stop()
  }

  @Test func `callers are told when the Close frames settle the end, and not when the stream has ended`() async throws {
    let server = try TestServer(
      behavior: .script([.open, .ignorePings, .sendClose(.goingAway), .continue(as: .silent)]))
    let client = try await WebSocketSidecar.connect(to: server.url)
    let (released, ended) = (Promise<ContinuousClock.Instant>(), Promise<ContinuousClock.Instant>())
    try client.ping { released.complete(.now) }
    client.whenConnectionEnded { _ in ended.complete(.now) }
    // The server keeps the stream for the whole of our grace.
    let between = await released.uncancellableValue().duration(to: ended.uncancellableValue())
    #expect(between >= WebSocketSidecar.endOfStreamGrace / 2)
    await client.shutdown()
    await server.stop()
  }

  @Test func `a Close that came with a Ping is heard, although answering the Ping fails`() async throws {
    let server = try TestServer(behavior: .script([.open, .continue(as: .silent)]))
    let client = try await WebSocketSidecar.connect(to: server.url)
    // Held until the peer is gone, so that what it sent is read together.
    await client.holdUntilPeerIsGone()
    try await server.connection().perform([
      .together([.ping([1]), .sendClose(.internalError, reason: "out of luck")]), .reset,
    ])
    await #expect { try await client.receive() } throws: { error in
      guard case .closed(let status?) = error as? WebSocketError else { return false }
      return status.code == .internalError && status.reason == "out of luck" && status.initiator == .peer
    }
    await client.shutdown()
    await server.stop()
  }

  @Test func `an inbox that the last messages fill does not hide the end of the stream after the Close`() async throws {
    let message = WebSocketMessage.binary(Array(repeating: 1, count: 1000))
    let server = try TestServer(
      behavior: .script([.open, .together([.send(message), .send(message), .sendClose()]), .receiveClose]))
    var configuration = WebSocketConfiguration()
    configuration.inboundCapacity = 1000
    let client = try await WebSocketSidecar.connect(to: server.url, configuration: configuration)
    let begin = ContinuousClock.now
    await client.closeStatusKnown()
    #expect(ContinuousClock.now - begin < WebSocketSidecar.endOfStreamGrace, "the stream's end was seen, not given up")
    #expect(try await client.receive() == message)
    await client.shutdown()
    await server.stop()
  }

  @Test func `dropping the last reference tells the peer`() async throws {
    let server = try TestServer(behavior: .echo)
    var client: WebSocketSidecar? = try await WebSocketSidecar.connect(to: server.url)
    #expect(client?.closeStatus == nil)
    client = nil
    #expect(try await server.connection().receivedClose().code == .goingAway)
    await server.stop()
  }

  // MARK: The descriptor

  @Test func `the descriptor is not closed under a sender, and is when the sender is through`() async throws {
    let goOn = TestServer.Gate()
    let server = try TestServer(
      behavior: .script([.open, .stopReading, .waitFor(goOn), .resumeReading, .continue(as: .discard)]))
    let client = try await WebSocketSidecar.connect(to: server.url)
    let descriptor = try #require(await client.descriptor())
    // A system call that waits, which it never does otherwise, holds the sender where it writes.
    let flags = fcntl(descriptor, F_GETFL)
    #expect(fcntl(descriptor, F_SETFL, flags & ~O_NONBLOCK) == 0)
    let sending = Task {
      try await onThread { try BlockingWebSocket(client).send(Array(repeating: 1, count: 64 << 20)) }
    }
    #expect(await client.senderStartsToWrite())
    await #expect(throws: WebSocketError.timedOut(.closingHandshake)) {
      try await client.close(timeout: .milliseconds(50))
    }
    #expect(client.endedConnectionStatus == nil)
    #expect(fcntl(descriptor, F_GETFD) != -1)
    goOn.open()
    try await sending.value
    await client.connectionEnded()
    await client.shutdown()
    await server.stop()
  }

  @Test func `a descriptor that was given back is not shut down`() async {
    // In a process of its own, so that nobody else opens descriptors: the number goes to the pair.
    await #expect(processExitsWith: .success) {
      guard let server = try? TestServer(behavior: .echo),
        let client = try? await WebSocketSidecar.connect(to: server.url),
        let number = await client.descriptor()
      else { _exit(1) }
      await client.shutdown()
      await server.stop()
      var descriptors: [Int32] = []
      repeat {
        var pair: [Int32] = [0, 0]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &pair) == 0 else { _exit(2) }
        descriptors += pair
      } while descriptors.max()! < number
      client.abortStream()
      for descriptor in descriptors {
        guard send(descriptor, "x", 1, Int32(MSG_NOSIGNAL)) == 1 else { _exit(3) }
      }
      _exit(0)
    }
  }
}
