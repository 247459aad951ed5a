import Dispatch
import Glibc
import SidecarExecutor
import SidecarTesting
import SidecarTestSupport
import Testing
import SidecarProtocol

@testable import Sidecar
@testable import SidecarTransport

/// The safeguards that only show in the small: in what is told, in what is left, and in what comes second. Docs/Shutdown.md
/// lists them all.
@Suite(.aloneWithCensus, .serialized) struct `Safeguards at the edges` {
  // MARK: The application's code

  @Test func `a cancellation handler that blocks does not hold the thread`() async throws {
    let answer = TestServer.Gate()
    let server = try TestServer(
      behavior: .script([.open, .receiveClose, .waitFor(answer), .sendClose(), .endOfStream]))
    let client = try await WebSocketSidecar.connect(to: server.url)
    let gate = DispatchSemaphore(value: 0)
    let (running, cancelling, goOn) = (Promise<Void>(), Promise<Void>(), Promise<Void>())
    let run = Task {
      try await client.run { _ in
        await withTaskCancellationHandler {
          running.complete(())
          await goOn.uncancellableValue()
        } onCancel: {
          cancelling.complete(())
          _ = gate.wait(timeout: .now() + 60)
        }
      }
    }
    await running.uncancellableValue()
    let shutdown = Task { await client.shutdown(within: .seconds(60)) }
    _ = try await server.connection().receivedClose()
    // The connection's end, which brings the cancelling of tasks, comes to the sidecar's thread.
    answer.open()
    await cancelling.uncancellableValue()
    let thread = client.thread
    #expect(try await onThread { try thread.postAndWait(until: .after(.seconds(20))) { true } })
    gate.signal()
    goOn.complete(())
    try await run.value
    let report = await shutdown.value
    #expect(report.isClean, "\(report)")
    await server.stop()
  }

  @Test func `a log that blocks while a step takes long does not make deadlines late`() async throws {
    let gate = DispatchSemaphore(value: 0)
    let (thread, count) = (try SidecarThread(name: "held"), 64)
    let holding = DispatchSemaphore(value: 0)
    thread.post { _ = holding.wait(timeout: .now() + 60) }
    let told = Tally()
    var configuration = WebSocketConfiguration()
    configuration.onLog = { event in
      guard case .shutdownWaiting = event else { return }
      told.add()
      _ = gate.wait(timeout: .now() + 60)
    }
    let clients = try (0..<count).map { _ in
      try WebSocketSidecar("ws://127.0.0.1:9/", configuration: configuration, on: thread)
    }
    for client in clients {
      client.coordinator.request(bound: .seconds(60), keepingUnread: false, payload: .normal)
      client.coordinator.wake(at: .now, 1)
    }
    #expect(await eventually { () async in told.count > 0 })
    let waited = try await onThread { () throws -> Duration in
      let begin = ContinuousClock.now
      let reached = DispatchSemaphore(value: 0)
      let timer = DeadlineTimer(.after(.milliseconds(10))) { reached.signal() }
      defer { timer.cancel() }
      _ = reached.wait(timeout: .now() + 60)
      return ContinuousClock.now - begin
    }
    #expect(waited <= .milliseconds(10) + slack)
    for _ in clients { gate.signal() }
    holding.signal()
    for client in clients { await client.shutdown() }
    #expect(await thread.shutdown())
  }

  // MARK: Announced last, and once

  @Test func `a sidecar is counted out before its report`() async throws {
    let client = try WebSocketSidecar("ws://127.0.0.1:9/")
    let sidecars = Promise<Int>()
    client.coordinator.report.whenComplete { _ in sidecars.complete(LiveCounters.sidecars.value) }
    await client.shutdown()
    #expect(await sidecars.uncancellableValue() == 0)
  }

  @Test func `a connection ends once, however often it is told to`() async throws {
    let server = try TestServer(behavior: .echo)
    let endings = Tally()
    var configuration = WebSocketConfiguration()
    configuration.onLog = { if case .connectionEnded = $0 { endings.add() } }
    let client = try await WebSocketSidecar.connect(to: server.url, configuration: configuration)
    let status = try await client.close()
    let told = Promise<Void>()
    client.connection.post { connection in
      connection.finish(connection.closeStatus(.abandoned, because: .cancelled))
      told.complete(())
    }
    await told.uncancellableValue()
    #expect(client.closeStatus == status)
    await client.shutdown()
    #expect(endings.count == 1)
    await server.stop()
  }

  @Test func `who waits is told when the Close frames settle it, and not when the stream has ended`() async throws {
    let server = try TestServer(
      behavior: .script([.open, .ignorePings, .sendClose(.goingAway), .continue(as: .silent)]))
    let client = try await WebSocketSidecar.connect(to: server.url)
    let (released, ended) = (Promise<ContinuousClock.Instant>(), Promise<ContinuousClock.Instant>())
    try client.postPing(PendingPings.payload(nil)).whenComplete { _ in released.complete(.now) }
    client.shared.ended.whenComplete { _ in ended.complete(.now) }
    // The server keeps the stream for the whole of our grace.
    let between = await released.uncancellableValue().duration(to: ended.uncancellableValue())
    #expect(between >= Connection.endOfStreamGrace / 2)
    await client.shutdown()
    await server.stop()
  }

  @Test func `a close that had been given up before is no step that timed out`() async throws {
    let server = try TestServer(behavior: .silent)
    let client = try await WebSocketSidecar.connect(to: server.url)
    _ = try client.postClose(code: .normalClosure, reason: "", timeout: .milliseconds(10))
    #expect(await client.shared.ended.uncancellableValue().error == .timedOut(.closingHandshake))
    let report = await client.shutdown()
    #expect(report.isClean, "\(report)")
    await server.stop()
  }

  @Test func `a close with more time does not take the place of one with less`() async throws {
    let server = try TestServer(behavior: .silent)
    let client = try await WebSocketSidecar.connect(to: server.url)
    let begin = ContinuousClock.now
    for timeout in [Duration.milliseconds(10), .seconds(600)] {
      _ = try client.postClose(code: .normalClosure, reason: "", timeout: timeout)
    }
    #expect(await client.shared.ended.uncancellableValue().error == .timedOut(.closingHandshake))
    #expect(ContinuousClock.now - begin < .seconds(300))
    await client.shutdown()
    await server.stop()
  }

  @Test func `a bound below zero is reported as none`() async throws {
    let client = try WebSocketSidecar("ws://127.0.0.1:9/")
    #expect(await client.shutdown(within: .seconds(-60)).bound == .zero)
  }

  @Test func `a time that is longer than can be counted is no mistake`() async throws {
    let server = try TestServer(behavior: .echo)
    for years in [100, 200, 290, 1000, Int64.max / 31_556_952] {
      let time = Duration.seconds(years * 31_556_952)
      for isClosed in [false, true] {
        let client = try await WebSocketSidecar.connect(to: server.url)
        try await client.ping(timeout: time)
        try await onThread { _ = try BlockingWebSocket(client).ping(timeout: time) }
        if isClosed { #expect(try await client.close(timeout: time).wasClean) }
        let report = await client.shutdown(within: time)
        #expect(report.isClean, "\(report)")
        #expect(!report.description.isEmpty)
      }
    }
    await server.stop()
  }

  // MARK: What comes second

  @Test func `the first end counts for Pings too`() throws {
    let pings = PendingPings()
    pings.end(.closed(nil))
    pings.end(.cancelled)
    let late = PendingPings.Answer()
    pings.expect(try PendingPings.payload(nil), answer: late)
    #expect(throws: WebSocketError.closed(nil)) { try late.current?.get() }
  }

  // MARK: A peer that is gone

  @Test func `what a peer said before it was gone is heard, although writing to it fails first`() async throws {
    let server = try TestServer(behavior: .script([.open, .continue(as: .silent)]))
    let client = try await WebSocketSidecar.connect(to: server.url)
    let isHeld = Promise<Void>()
    client.connection.post { connection in
      // Held until the peer is gone, so that nothing is read before something is written.
      isHeld.complete(())
      var state = pollfd(fd: connection.descriptor ?? -1, events: 0, revents: 0)
      _ = poll(&state, 1, 60_000)
      _ = connection.shared.sendQueue.send("x", orWait: nil)
      connection.flush()
    }
    await isHeld.uncancellableValue()
    try await server.connection().perform([.send("last words"), .reset])
    #expect(try await client.receive() == "last words")
    await #expect(throws: WebSocketError.self) { try await client.receive() }
    await client.shutdown()
    await server.stop()
  }

  @Test func `a Close that came with a Ping is heard, although answering the Ping fails`() async throws {
    let server = try TestServer(behavior: .script([.open, .continue(as: .silent)]))
    let client = try await WebSocketSidecar.connect(to: server.url)
    let isHeld = Promise<Void>()
    client.connection.post { connection in
      // Held until the peer is gone, so that what it sent is read together.
      isHeld.complete(())
      var state = pollfd(fd: connection.descriptor ?? -1, events: 0, revents: 0)
      _ = poll(&state, 1, 60_000)
    }
    await isHeld.uncancellableValue()
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

  // MARK: The way to an open connection

  @Test func `a server that has not answered yet is told too when a thread is left behind`() async throws {
    let server = try TestServer(behavior: .script([.receiveRequest, .waitForEndOfStream]))
    let client = try WebSocketSidecar(server.url)
    let connection = try await server.connection()
    _ = try await connection.request()
    let (gate, isHeld) = (DispatchSemaphore(value: 0), Promise<Void>())
    // Held until the server has seen the end, however long it waits for that.
    client.thread.post {
      isHeld.complete(())
      gate.wait()
    }
    defer { gate.signal() }
    await isHeld.uncancellableValue()
    let report = await client.shutdown(within: .milliseconds(50))
    #expect(!report.isClean)
    #expect(try await connection.scriptEnded() == .finished)
    await server.stop()
  }

  @Test func `each step of connecting has its time`() async throws {
    let gate = DispatchSemaphore(value: 0)
    let left = Promise<Void>()
    var configuration = WebSocketConfiguration()
    configuration.resolutionTimeout = .milliseconds(10)
    configuration.connectTimeout = .milliseconds(10)
    configuration.handshakeTimeout = .milliseconds(10)
    configuration.resolver = Resolver { host throws(Resolver.Failure) -> [SocketAddress] in
      gate.wait()
      left.complete(())
      throw .resolution(ResolutionError(host: host, code: 0))
    }
    let (full, mute) = (try TestServer.fullPort(), try TestServer(behavior: .acceptOnly))
    for (url, step) in [
      ("ws://slow.invalid/", WebSocketError.TimeoutPhase.resolution), (full.url, .connect),
      (mute.url, .openingHandshake),
    ] {
      let client = try WebSocketSidecar(url, configuration: configuration)
      // With a deadline of the test's own, since the safeguard is that there is one.
      guard case .value(let opening) = await client.shared.opened.value(until: .after(.seconds(20))) else {
        Issue.record("no end to waiting for \(step.rawValue)")
        continue
      }
      #expect(throws: WebSocketError.timedOut(step)) { try opening.get() }
      await client.shutdown()
    }
    gate.signal()
    await left.uncancellableValue()
    await mute.stop()
  }

  @Test func `a race of connects that is called off has no attempt to come`() async throws {
    let full = try TestServer.fullPort()
    let port = try #require(UInt16(full.url.dropLast().split(separator: ":").last ?? ""))
    var configuration = WebSocketConfiguration()
    configuration.resolver = Resolver { _ throws(Resolver.Failure) -> [SocketAddress] in
      [.loopback(port: port), .loopback(port: port)]
    }
    let thread = try SidecarThread(name: "shared")
    @Sendable func registered() async -> Int {
      await Task(executorPreference: thread) { thread.loop.registrationCount }.value
    }
    for _ in 0..<3 {
      let client = try WebSocketSidecar("ws://two.invalid/", configuration: configuration, on: thread)
      // A descriptor, a deadline, an observer, and the next attempt or its descriptor.
      #expect(await eventually { () async in await registered() == 4 })
      await client.shutdown(within: .seconds(60))
      #expect(await registered() == 0)
    }
    #expect(await thread.shutdown())
  }

  @Test func `an attempt to connect that fails at once leaves no descriptor`() async throws {
    await warmUp()
    var configuration = WebSocketConfiguration()
    // Nobody can connect to a broadcast address, and the system says so without asking the network.
    configuration.resolver = Resolver { _ throws(Resolver.Failure) -> [SocketAddress] in
      [SocketAddress(numeric: "255.255.255.255", port: 80)].compactMap(\.self)
    }
    let thread = try SidecarThread(name: "shared")
    var before: Int?
    for _ in 0..<3 {
      do throws(WebSocketError) {
        _ = try await WebSocketSidecar.connect(
          to: "ws://unreachable.invalid/", configuration: configuration, on: thread)
        Issue.record("connected to a broadcast address")
      } catch {
        guard case .connectFailed(let attempts) = error else { return somethingElseCame() }
        #expect(attempts.attempts.count == 1)
      }
      let descriptors = ProcessCensus.take().descriptors
      // What the first one opens once and for all is not counted.
      #expect(descriptors <= before ?? descriptors)
      before = descriptors
    }
    #expect(await thread.shutdown())
  }

  @Test(arguments: [false, true]) func `a Ping before the connection is open is sent when it is`(blocking: Bool)
    async throws
  {
    let answer = TestServer.Gate()
    let server = try TestServer(
      behavior: .script([.receiveRequest, .waitFor(answer), .open, .continue(as: .echo)]))
    let client = try WebSocketSidecar(server.url)
    let timeout = Duration.seconds(20)
    let pinging = Task.immediate {
      blocking
        ? try await onThread { try BlockingWebSocket(client).ping(timeout: timeout) }
        : try await client.ping(timeout: timeout)
    }
    _ = try await server.connection().request()
    // What is wrong whether the connection opens or not does not wait for it.
    let tooMany = [UInt8](repeating: 0, count: 126)
    await #expect(throws: WebSocketError.pingTooLong(byteCount: 126)) {
      _ =
        blocking
        ? try await onThread { try BlockingWebSocket(client).ping(tooMany) } : try await client.ping(tooMany)
    }
    answer.open()
    #expect(try await pinging.value < timeout)
    await client.shutdown()
    // Nobody waits for a connection that can't open any more.
    let unopened = try WebSocketSidecar("ws://127.0.0.1:9/")
    await unopened.shutdown()
    await #expect(throws: WebSocketError.self) { try await unopened.ping() }
    await server.stop()
  }

  @Test func `a sidecar that is dropped before it starts asks for its end at once`() async throws {
    let gate = DispatchSemaphore(value: 0)
    let thread = try SidecarThread(name: "held")
    thread.post { _ = gate.wait(timeout: .now() + 60) }
    weak var dropped: WebSocketSidecar?
    let connection: Connection
    do {
      let client = try WebSocketSidecar("ws://127.0.0.1:9/", on: thread)
      (dropped, connection) = (client, client.connection)
    }
    #expect(dropped == nil, "the thread that is held does not hold the sidecar")
    #expect(await eventually { () async in connection.shared.opened.current != nil })
    gate.signal()
    #expect(await thread.shutdown())
  }

  // MARK: Descriptors

  @Test func `a descriptor that was given back is not shut down`() async throws {
    let server = try TestServer(behavior: .echo)
    let client = try await WebSocketSidecar.connect(to: server.url)
    let number = try #require(await client.connection.descriptor)
    await client.shutdown()
    var pair: [Int32] = [0, 0]
    try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &pair) == 0)
    // Whoever opens something next may get the number.
    let isTaken = pair.contains(number)
    if !isTaken { #expect(dup2(pair[0], number) == number) }
    client.shared.sendQueue.abortStream()
    #expect(send(pair[0], "x", 1, Int32(MSG_NOSIGNAL)) == 1)
    for descriptor in pair + (isTaken ? [] : [number]) { Glibc.close(descriptor) }
    await server.stop()
  }

  @Test func `writing to a peer that is gone does not end the process`() async {
    await #expect(processExitsWith: .success) {
      signal(SIGPIPE, SIG_DFL)
      var pair: [Int32] = [0, 0]
      guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &pair) == 0 else { exit(2) }
      Glibc.close(pair[1])
      let socket = StreamSocket(owning: pair[0])
      let result = [UInt8](repeating: 1, count: 1).withUnsafeBytes { socket.write($0) }
      exit(result == .failed(SystemError("send", code: EPIPE)) ? 0 : 3)
    }
  }

  // MARK: The kernel's buffers

  @Test func `a connection within the machine does not let the kernel pile up megabytes`() async throws {
    let server = try TestServer(behavior: .fireHose(message: .binary([UInt8](repeating: 7, count: 1 << 16))))
    let client = try await WebSocketSidecar.connect(to: server.url)
    // Read as fast as it goes, the kernel would by now have let the buffer grow.
    var received = 0
    for try await message in client.inbound {
      received += message.byteCount
      if received >= 64 << 20 { break }
    }
    let connection = client.connection
    let size = try await onThread {
      try connection.thread.postAndWait(until: .after(patience)) {
        connection.assumeIsolated { connection -> Int32 in
          var (size, length) = (Int32(0), socklen_t(MemoryLayout<Int32>.size))
          getsockopt(connection.descriptor ?? -1, SOL_SOCKET, SO_RCVBUF, &size, &length)
          return size
        }
      }
    }
    #expect(size > 0 && size <= 2 * StreamSocket.sameHostReceiveBuffer)
    #expect(await client.shutdown().isClean)
    await server.stop()
  }

  @Test func `an address has the same host as another one, or has not`() throws {
    let address = { (host: String, port: UInt16) in try #require(SocketAddress(numeric: host, port: port)) }
    #expect(try address("127.0.0.1", 1).hasSameHost(as: address("127.0.0.1", 2)))
    #expect(try !address("127.0.0.1", 1).hasSameHost(as: address("127.0.0.2", 1)))
    #expect(try address("::1", 1).hasSameHost(as: address("::1", 2)))
    #expect(try !address("::1", 1).hasSameHost(as: address("::2", 1)))
    #expect(try !address("::1", 1).hasSameHost(as: address("127.0.0.1", 1)))
  }

  // MARK: A thread that can't be started

  @Test func `a sidecar whose thread can't be started takes its connection back`() async {
    // In a process of its own, whose memory is limited. Ended without LeakSanitizer: the threads that run are kept.
    await #expect(processExitsWith: .success) {
      // A sanitizer needs all that there is.
      if ProcessCensus.virtualBytes() > 1 << 40 { _exit(0) }
      // Takes connections, and never says anything.
      let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      guard listen(listener, 128) == 0, let port = SocketCalls.localAddress(of: listener)?.port else { _exit(1) }
      let url = "ws://127.0.0.1:\(port)/"
      var clients: [WebSocketSidecar] = []
      var failures = 0
      let wasLimited = ProcessCensus.withMemory(limitedTo: 256 << 20) {
        while failures < 20, clients.count < 100 {
          do throws(WebSocketError) {
            clients.append(try WebSocketSidecar(url))
          } catch {
            guard case .systemResources(let reason) = error, reason.call == "pthread_create" else { _exit(3) }
            failures += 1
          }
        }
      }
      guard wasLimited else { _exit(2) }
      guard failures == 20, !clients.isEmpty else { _exit(4) }
      let counts = LiveCounts.current
      guard counts.sidecars == clients.count else { _exit(5) }
      guard counts.threads == clients.count else { _exit(6) }
      // They had begun to connect, before there was to be a thread.
      guard counts.connections == clients.count else { _exit(7) }
      _exit(0)
    }
  }

  // MARK: The stack of a thread

  @Test func `the stack of a thread is freed by the shutdown although somebody keeps the sidecar`() async {
    // In a process of its own: stacks are the process's. Ended without LeakSanitizer, which does not see what a task keeps.
    await #expect(processExitsWith: .success) {
      var kept: [WebSocketSidecar] = []
      for isBlocking in [false, true] {
        let before = ProcessCensus.threadStacks()
        for _ in 0..<40 {
          let client = try WebSocketSidecar("ws://127.0.0.1:9/")
          if isBlocking {
            _ = try await onThread { BlockingWebSocket(client).shutdown() }
          } else {
            await client.shutdown()
          }
          kept.append(client)
        }
        // The C library keeps a few for later.
        guard eventually(within: .seconds(5), { ProcessCensus.threadStacks() < before + 20 }) else {
          _exit(isBlocking ? 3 : 2)
        }
      }
      _exit(kept.count == 80 ? 0 : 4)
    }
  }
}
