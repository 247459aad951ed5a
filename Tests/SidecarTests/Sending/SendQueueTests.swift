import Glibc
import SidecarExecutor
import SidecarTesting
import SidecarTestSupport
import Testing
import SidecarProtocol

@testable import Sidecar
@testable import SidecarTransport

/// Who writes, and who waits for room.
@Suite(.aloneWithCensus, .serialized) struct `The send queue` {
  @Test func `what was refused before the connection opened is refused when it is open`() throws {
    let thread = try SidecarThread()
    let queue = SendQueue(
      highWatermark: 1, offersCompression: false, thread: thread, responseHint: ResponseHint(),
      handlerGate: HandlerGate())
    let stream = ByteStream.plain(StreamSocket(owning: dup(0)))
    queue.refuse(.closed(nil))
    queue.start(stream, request: []) {}
    queue.open(nil, nil)
    guard case .failed(.closed(nil)) = queue.send("x", orWait: nil) else { return somethingElseCame() }
    #expect(queue.end(.closed(nil)))
    stream.close()
  }

  /// Calls `body` while a sender is held in its system call, with a send queue of that size, and lets the sender
  /// through; then calls `afterwards`.
  private func withHeldSender(
    highWatermark: Int, _ body: (SendQueue) throws -> Void, afterwards: (SendQueue) throws -> Void
  ) async throws {
    let queue = SendQueue(
      highWatermark: highWatermark, offersCompression: false, thread: try SidecarThread(), responseHint: ResponseHint(),
      handlerGate: HandlerGate())
    var pair: [Int32] = [0, 0]
    try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &pair) == 0)
    let stream = ByteStream.plain(StreamSocket(owning: pair[0]))
    queue.start(stream, request: []) {}
    queue.open(nil, nil)
    var nothing = ByteBuffer()
    let hasRequest = queue.takeNext(&nothing)
    #expect(!hasRequest)
    // The socket blocks, and nobody reads it.
    let count = 8 << 20
    let sending = Task {
      try await onThread { _ = queue.send(.binary(WebSocketPayload(Array(repeating: 1, count: count))), orWait: nil) }
    }
    // Nothing announces that the sender is in its system call, beyond what it has queued for it.
    #expect(await eventually { () async in queue.unwrittenByteCount > count })
    try body(queue)
    let other = pair[1]
    try await onThread {
      // Ends the sender's call by taking what it writes.
      var bytes = [UInt8](repeating: 0, count: 1 << 20)
      var received = 0
      while received < count {
        let more = read(other, &bytes, bytes.count)
        guard more > 0 else { return }
        received += more
      }
    }
    try await sending.value
    try afterwards(queue)
    #expect(queue.end(.closed(nil)))
    stream.close()
    Glibc.close(other)
  }

  @Test func `nobody writes while a sender is writing`() async throws {
    try await withHeldSender(highWatermark: 1 << 30) { queue in
      guard case .queued = queue.send("x", orWait: nil) else { return somethingElseCame() }
      var buffer = ByteBuffer()
      let hasTakenItAway = queue.takeNext(&buffer)
      #expect(!hasTakenItAway)
    } afterwards: { queue in
      var buffer = ByteBuffer()
      let hasTaken = queue.takeNext(&buffer)
      #expect(hasTaken)
    }
  }

  @Test func `a sender that waits for room continues when another one has written everything`() async throws {
    let room = Promise<Void>()
    try await withHeldSender(highWatermark: 1) { queue in
      guard case .full = queue.send("x", orWait: room) else { return somethingElseCame() }
      #expect(room.current == nil)
    } afterwards: { queue in
      // The sidecar has had no turn.
      #expect(room.current != nil)
      queue.refuse(.closed(nil))
    }
  }

  // MARK: Senders that wait for room

  /// A client whose peer does not read, and a sender that waits for room.
  private func blockedSender(
    _ server: TestServer
  ) async throws -> (WebSocketSidecar, Task<Result<Void, WebSocketError>, Never>) {
    var configuration = WebSocketConfiguration()
    configuration.outboundCapacity = 1
    let client = try await WebSocketSidecar.connect(to: server.url, configuration: configuration)
    let sending = Task { () -> Result<Void, WebSocketError> in
      do throws(WebSocketError) {
        while true { try await client.send(Array(repeating: 1, count: 1 << 20)) }
      } catch {
        return .failure(error)
      }
    }
    // Not just because the thread has not come to it yet: the kernel takes no more.
    #expect(await client.senderStartsToWait())
    return (client, sending)
  }

  @Test func `a sender that waits for room fails when the shutdown is requested, and not later`() async throws {
    let server = try TestServer(behavior: .script([.open, .stopReading, .continue(as: .silent)]))
    let (client, sending) = try await blockedSender(server)
    client.requestShutdownOnly(within: .seconds(600))
    let ended = Promise<Result<Void, WebSocketError>>()
    Task { ended.complete(await sending.value) }
    if case .value(.failure(let error)) = await ended.value(until: .after(.seconds(20))) {
      #expect(error == .closed(nil))
    } else {
      Issue.record("the sender goes on waiting")
    }
    #expect(client.closeStatus == nil)
    client.abortConnection()
    await client.shutdown()
    await server.stop()
  }

  @Test func `a sender that waits for room fails when the connection is lost`() async throws {
    let server = try TestServer(behavior: .script([.open, .stopReading, .continue(as: .silent)]))
    let (client, sending) = try await blockedSender(server)
    try await server.connection().perform([.reset])
    let ended = Promise<Result<Void, WebSocketError>>()
    Task { ended.complete(await sending.value) }
    if case .value(.failure(.connectionLost)) = await ended.value(until: .after(.seconds(20))) {
    } else {
      Issue.record("the sender goes on waiting")
    }
    await client.shutdown()
    await server.stop()
  }

  @Test func `a sender that waits for room continues when there is some`() async throws {
    let goOn = TestServer.Gate()
    let server = try TestServer(
      behavior: .script([.open, .stopReading, .waitFor(goOn), .resumeReading, .continue(as: .discard)]))
    var configuration = WebSocketConfiguration()
    configuration.outboundCapacity = 1
    let client = try await WebSocketSidecar.connect(to: server.url, configuration: configuration)
    let sending = Task {
      for _ in 0..<64 { try await client.send(Array(repeating: 1, count: 1 << 20), timeout: .seconds(60)) }
    }
    #expect(await client.senderStartsToWait())
    goOn.open()
    try await sending.value
    await client.shutdown()
    await server.stop()
  }
}
