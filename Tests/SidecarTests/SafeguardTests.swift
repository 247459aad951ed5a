import Dispatch
import Glibc
import SidecarExecutor
import SidecarTesting
import SidecarTransport
import SidecarTestSupport
import Testing

@testable import Sidecar

/// What would go wrong only in a rare order of events, or beside an application that leaves no room: one test for each
/// safeguard that no other test needs. Docs/Shutdown.md lists them all.
@Suite(.aloneWithCensus, .serialized) struct `Safeguards of the shutdown` {
  let bound = Duration.milliseconds(150)

  // MARK: When the application has taken every worker

  @Test func `the bound is kept although every worker of Dispatch is taken`() async throws {
    let server = try TestServer(behavior: .echo)
    let (report, elapsed) = try await onThread { [bound] in
      let workers = TakenWorkers()
      defer { workers.release() }
      let socket = try BlockingWebSocket(server.url)
      let gate = DispatchSemaphore(value: 0)
      defer { gate.signal() }
      socket.sidecar.connection.post { _ in holdThread(gate) }
      let begin = ContinuousClock.now
      let report = socket.shutdown(within: bound)
      return (report, ContinuousClock.now - begin)
    }
    #expect(elapsed <= bound + slack, "\(report)")
    #expect(report.abandoned == [.thread(name: "sidecar")])
    await server.stop()
  }

  @Test func `work behind the thread's end is done although every worker of Dispatch is taken`() async throws {
    let thread = try SidecarThread()
    #expect(await thread.shutdown())
    try await onThread { () throws -> Void in
      let workers = TakenWorkers()
      defer { workers.release() }
      #expect(try thread.postAndWait(until: .after(.seconds(5))) { thread.isCurrent })
    }
  }

  @Test func `look-ups that hang in great number do not hold up a shutdown`() async throws {
    let gate = DispatchSemaphore(value: 0)
    let (entered, left) = (Tally(), Tally())
    var configuration = WebSocketConfiguration()
    configuration.resolver = Resolver { host throws(Resolver.Failure) -> [SocketAddress] in
      entered.add()
      gate.wait()
      left.add()
      throw .resolution(ResolutionError(host: host, code: 0))
    }
    let (shared, held) = (try SidecarThread(name: "look-ups"), try SidecarThread(name: "held"))
    let count = 600
    var clients = try (0..<count).map { number in
      try WebSocketSidecar("ws://slow\(number).invalid/", configuration: configuration, on: shared)
    }
    // The others wait for one of these to end.
    #expect(await eventually { () async in entered.count == Resolver.capacity })
    await Task(executorPreference: shared) {}.value
    let client = try WebSocketSidecar("ws://127.0.0.1:9/", on: held)
    held.post { holdThread(gate) }
    let (report, elapsed) = try await onThread { [bound] in
      let begin = ContinuousClock.now
      let report = BlockingWebSocket(client).shutdown(within: bound)
      return (report, ContinuousClock.now - begin)
    }
    #expect(elapsed <= bound + slack, "\(report)")
    // Nor the cancelling of tasks, which takes a worker.
    let busy = try WebSocketSidecar("ws://127.0.0.1:9/")
    let running = Task { try await busy.run { _ in try await Task.sleep(for: .seconds(600)) } }
    #expect(await eventually { () async in LiveCounters.tasks.value == 1 })
    #expect(await busy.shutdown(within: .seconds(20)).abandoned == [])
    _ = await running.result
    for _ in 0...count { gate.signal() }
    #expect(await eventually { () async in left.count >= Resolver.capacity })
    while let client = clients.popLast() { await client.shutdown() }
    #expect(await shared.shutdown())
    #expect(await held.shutdown())
  }

  // MARK: What is left in a thread that others go on using

  @Test func `a connection that has ended has taken back all that it had registered with its loop`() async throws {
    let server = try TestServer(behavior: .echo)
    let refused = try TestServer.refusedPort()
    let full = try TestServer.fullPort()
    let thread = try SidecarThread(name: "shared")
    func registered() async -> Int {
      await Task(executorPreference: thread) { thread.loop.registrationCount }.value
    }
    #expect(await registered() == 0)
    do {
      let client = try await WebSocketSidecar.connect(to: server.url, on: thread)
      #expect(await client.shutdown(within: .seconds(60)).isClean)
      #expect(await registered() == 0, "open")
    }
    do {
      await #expect(throws: WebSocketError.self) { try await WebSocketSidecar.connect(to: refused.url, on: thread) }
      #expect(await registered() == 0, "refused")
    }
    do {
      let client = try WebSocketSidecar(full.url, on: thread)
      #expect(await eventually { () async in await registered() == 3 }, "a descriptor, a deadline and an observer")
      await client.shutdown(within: .seconds(60))
      #expect(await registered() == 0, "connecting")
    }
    #expect(await thread.shutdown())
    await server.stop()
  }

  @Test func `a look-up that is answered after the end leads nowhere`() async throws {
    let server = try TestServer(behavior: .echo)
    let port = try #require(UInt16(server.url.dropLast().split(separator: ":").last ?? ""))
    let gate = DispatchSemaphore(value: 0)
    let entered = Promise<Void>()
    let left = Promise<Void>()
    var configuration = WebSocketConfiguration()
    configuration.resolver = Resolver { _ throws(Resolver.Failure) -> [SocketAddress] in
      entered.complete(())
      gate.wait()
      defer { left.complete(()) }
      return [.loopback(port: port)]
    }
    let thread = try SidecarThread(name: "shared")
    weak var connection: Connection?
    do {
      let client = try WebSocketSidecar("ws://slow.invalid:\(port)/", configuration: configuration, on: thread)
      connection = client.connection
      _ = await entered.uncancellableValue()
      #expect(await client.shutdown(within: .seconds(5)).abandoned == [.resolution(host: "slow.invalid")])
    }
    #expect(await eventually { () async in connection == nil }, "the look-up holds nothing of the connection")
    gate.signal()
    _ = await left.uncancellableValue()

    // Once more, with somebody who holds the connection.
    let client = try WebSocketSidecar("ws://slow.invalid:\(port)/", configuration: configuration, on: thread)
    await client.shutdown(within: .seconds(5))
    gate.signal()
    #expect(await eventually { () async in client.connection.connector.withLock { $0 }?.hostBeingResolved == nil })
    // Behind what the answer has posted, and behind the timer of a first attempt.
    for _ in 0..<3 { await Task(executorPreference: thread) { await Task.yield() }.value }
    #expect(await Task(executorPreference: thread) { thread.loop.registrationCount }.value == 0)
    #expect(server.connectionCount == 0)
    #expect(await thread.shutdown())
    await server.stop()
  }

  @Test func `what has ended is freed, connection and coordinator, long before the bound`() async throws {
    let server = try TestServer(behavior: .echo)
    let thread = try SidecarThread(name: "shared")
    weak var connection: Connection?
    weak var coordinator: ShutdownCoordinator?
    do {
      let client = try await WebSocketSidecar.connect(to: server.url, on: thread)
      (connection, coordinator) = (client.connection, client.coordinator)
      try await client.send("x")
      _ = try await client.receive()
      // Two wake-ups that are far off: the second one takes the place of the first, and the end takes it back.
      client.coordinator.wake(at: .now + .seconds(600), 0)
      client.coordinator.wake(at: .now + .seconds(601), 0)
      #expect(await client.shutdown(within: .seconds(600)).isClean)
    }
    #expect(await eventually { () async in connection == nil && coordinator == nil })
    #expect(await thread.shutdown())
    await server.stop()
  }

  // MARK: When the thread is held

  /// A client whose thread is held until the gate is signalled.
  private func heldClient(_ url: String, _ gate: DispatchSemaphore) async throws -> WebSocketSidecar {
    let client = try await WebSocketSidecar.connect(to: url)
    let entered = Promise<Void>()
    client.thread.post {
      entered.complete(())
      holdThread(gate)
    }
    _ = await entered.uncancellableValue()
    return client
  }

  @Test func `a close has a deadline of its own, and refuses messages at once`() async throws {
    let server = try TestServer(behavior: .echo)
    let gate = DispatchSemaphore(value: 0)
    let client = try await heldClient(server.url, gate)
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

  @Test func `a timer that is armed late does not take the place of a later one`() async throws {
    let server = try TestServer(behavior: .echo)
    let gate = DispatchSemaphore(value: 0)
    let client = try await heldClient(server.url, gate)
    let (report, elapsed) = await offThePool {
      let begin = ContinuousClock.now
      client.coordinator.request(bound: bound, keepingUnread: false, payload: .normal)
      // What a thread does that was told to before the request's own timer was armed, and comes to it only now.
      client.coordinator.wake(at: .now + .seconds(600), 0)
      return (await client.shutdown(), ContinuousClock.now - begin)
    }
    #expect(elapsed <= bound + slack, "\(report)")
    #expect(report.abandoned == [.thread(name: "sidecar")])
    gate.signal()
    #expect(await eventually { () async in LiveCounters.threads.value == 1 })
    await server.stop()
  }

  @Test func `held threads are given up at once when there is no time, many times over`() async throws {
    let gate = DispatchSemaphore(value: 0)
    for _ in 0..<10 {
      let clients = try (0..<40).map { _ in try WebSocketSidecar("ws://127.0.0.1:9/") }
      for client in clients { client.thread.post { holdThread(gate) } }
      let latest = await withTaskGroup(of: Duration.self) { group in
        for client in clients { group.addTask { await client.shutdown(within: .zero).elapsed } }
        return await group.reduce(.zero) { max($0, $1) }
      }
      #expect(latest < .seconds(10), "a wake-up was lost")
      for _ in clients { gate.signal() }
      #expect(await eventually { () async in LiveCounters.threads.value == 0 })
    }
  }

  @Test func `the request alone ends every call that waits for something to come`() async throws {
    let server = try TestServer(behavior: .echo)
    let gate = DispatchSemaphore(value: 0)
    let client = try await heldClient(server.url, gate)
    let begin = ContinuousClock.now
    // Beside it on the held thread: not even begun to connect.
    let unopened = try WebSocketSidecar(server.url, on: client.thread)
    let connecting = Task.immediate { try await unopened.connected() }
    let sending = Task.immediate { try await unopened.send("x") }
    let receiving = Task.immediate { try await client.receive() }
    for sidecar in [client, unopened] {
      sidecar.coordinator.request(bound: .seconds(60), keepingUnread: false, payload: .normal)
      #expect(throws: WebSocketError.closed(nil)) { try sidecar.trySend("x") }
    }
    await #expect(throws: WebSocketError.closed(nil)) { try await connecting.value }
    await #expect(throws: WebSocketError.closed(nil)) { try await sending.value }
    #expect(ContinuousClock.now - begin < .seconds(10), "the thread was still held")
    gate.signal()
    // A receiver is told when it is known how the connection ended, which the shutdown bounds.
    #expect(try await receiving.value == nil)
    #expect(client.closeStatus != nil)
    await unopened.shutdown()
    await client.shutdown()
    await server.stop()
  }

  @Test func `the first request of several counts, and no task begins behind it`() async throws {
    let server = try TestServer(behavior: .echo)
    let gate = DispatchSemaphore(value: 0)
    let client = try await heldClient(server.url, gate)
    client.coordinator.request(bound: .seconds(60), keepingUnread: false, payload: .normal)
    await #expect(throws: WebSocketError.closed(nil)) { try await client.run { _ in } }
    client.coordinator.request(bound: .zero, keepingUnread: false, payload: .normal)
    #expect(client.coordinator.provisionalReport.bound == .seconds(60))
    gate.signal()
    let report = await client.shutdown(within: .zero)
    #expect(report.bound == .seconds(60))
    #expect(report.isClean, "\(report)")
    await server.stop()
  }

  @Test func `a later request that blocks waits no longer than the first one`() async throws {
    let server = try TestServer(behavior: .echo)
    let gate = DispatchSemaphore(value: 0)
    let client = try await heldClient(server.url, gate)
    client.coordinator.request(bound: .milliseconds(20), keepingUnread: false, payload: .normal)
    let report = try await onThread { BlockingWebSocket(client).shutdown(within: .seconds(600)) }
    #expect(!client.thread.hasEnded)
    #expect(report.bound == .milliseconds(20))
    #expect(report.abandoned == [.thread(name: client.thread.name)])
    gate.signal()
    #expect(await eventually { () async in client.thread.hasEnded })
    await server.stop()
  }

  @Test func `a task that waits for the shutdown is not given up with those that ignore it`() async throws {
    let server = try TestServer(behavior: .echo)
    let client = try await WebSocketSidecar.connect(to: server.url)
    let (hasBegun, goOn) = (Promise<Void>(), Promise<Void>())
    let ignoring = Task {
      try await client.run { _ in
        hasBegun.complete(())
        await goOn.uncancellableValue()
      }
    }
    await hasBegun.uncancellableValue()
    let report = try await client.run { await $0.shutdown(within: .zero) }
    #expect(report.abandoned.contains(.tasks(count: 1)), "\(report)")
    await #expect(throws: WebSocketError.closed(nil)) { try await ignoring.value }
    goOn.complete(())
    await server.stop()
  }

  // MARK: A sender in the middle of its system call

  @Test func `the descriptor is not closed under a sender, and is when the sender is through`() async throws {
    let goOn = TestServer.Gate()
    let server = try TestServer(
      behavior: .script([.open, .stopReading, .waitFor(goOn), .resumeReading, .continue(as: .discard)]))
    let client = try await WebSocketSidecar.connect(to: server.url)
    let descriptor = try #require(await client.connection.descriptor)
    // A system call that waits, which it never does otherwise, holds the sender where it writes.
    let flags = fcntl(descriptor, F_GETFL)
    #expect(fcntl(descriptor, F_SETFL, flags & ~O_NONBLOCK) == 0)
    let sending = Task {
      try await onThread { try BlockingWebSocket(client).send(Array(repeating: 1, count: 64 << 20)) }
    }
    #expect(await eventually { () async in client.shared.sendQueue.unwrittenByteCount > 0 })
    await #expect(throws: WebSocketError.timedOut(.closingHandshake)) {
      try await client.close(timeout: .milliseconds(50))
    }
    #expect(client.shared.ended.current == nil)
    #expect(fcntl(descriptor, F_GETFD) != -1)
    goOn.open()
    try await sending.value
    _ = await client.shared.ended.uncancellableValue()
    await client.shutdown()
    await server.stop()
  }

  // MARK: Announced last

  @Test func `the end is announced when everything else about it is true`() async throws {
    let server = try TestServer(behavior: .echo)
    let created = Created()
    let seen = Promise<(CloseStatus?, Int)>()
    var configuration = WebSocketConfiguration()
    configuration.onLog = { event in
      // The last thing before the announcement.
      if case .connectionEnded = event {
        seen.complete((created.sidecar.withLock { $0 }?.shared.ended.current, LiveCounters.connections.value))
      }
    }
    let client = try WebSocketSidecar(server.url, configuration: configuration)
    created.sidecar.withLock { $0 = client }
    // The sidecar holds its log, and the log the sidecar.
    defer { created.sidecar.withLock { $0 = nil } }
    try await client.connected()
    let threads = Promise<Int>()
    client.thread.whenEnded { threads.complete(LiveCounters.threads.value) }
    await client.shutdown()
    let (status, connections) = await seen.uncancellableValue()
    #expect(status == nil)
    #expect(connections <= 1, "only the server's is left")
    #expect(await threads.uncancellableValue() == 1, "only the server's is left")
    await server.stop()
  }

  @Test func `whoever sees the result of a run finds the task gone`() async throws {
    let server = try TestServer(behavior: .echo)
    let client = try await WebSocketSidecar.connect(to: server.url)
    for _ in 0..<2000 {
      try await client.run { _ in }
      #expect(LiveCounters.tasks.value == 0)
    }
    await client.shutdown()
    await server.stop()
  }

  @Test func `a connect that fails has cleaned up before it throws`() async throws {
    let refused = try TestServer.refusedPort()
    for round in 0..<40 {
      if round.isMultiple(of: 2) {
        await #expect(throws: WebSocketError.self) { try await WebSocketSidecar.connect(to: refused.url) }
      } else {
        try await onThread { () throws -> Void in
          #expect(throws: WebSocketError.self) { try BlockingWebSocket(refused.url) }
        }
      }
      #expect(LiveCounts.current == LiveCounts.zero)
    }
    let server = try TestServer(behavior: .echo)
    struct Failure: Error {}
    for _ in 0..<20 {
      await #expect(throws: Failure.self) {
        try await withWebSocketSidecar(server.url) { _ in throw Failure() }
      }
      #expect(LiveCounts.current.threads == 1)
    }
    await server.stop()
  }

  // MARK: Tasks

  @Test func `cancelling the caller of run cancels the work, and so does its deadline`() async throws {
    let server = try TestServer(behavior: .echo)
    let client = try await WebSocketSidecar.connect(to: server.url)
    let calling = Task {
      try await client.run { _ in try await Task.sleep(for: .seconds(600)) }
    }
    #expect(await eventually { () async in LiveCounters.tasks.value == 1 })
    calling.cancel()
    await #expect(throws: CancellationError.self) { try await calling.value }
    try await onThread { () throws -> Void in
      #expect(throws: WebSocketError.timedOut(.run)) {
        try BlockingWebSocket(client).run(timeout: .milliseconds(10)) { _ in try await Task.sleep(for: .seconds(600)) }
      }
    }
    #expect(await eventually { () async in LiveCounters.tasks.value == 0 })
    #expect(await client.shutdown().cancelledTaskCount == 0)
    await server.stop()
  }

  @Test func `a task that asked for the shutdown and then does not return is released too`() async throws {
    let server = try TestServer(behavior: .echo)
    let client = try await WebSocketSidecar.connect(to: server.url)
    let gate = Promise<Void>()
    await #expect(throws: WebSocketError.closed(nil)) {
      try await client.run { sidecar in
        #expect(await sidecar.shutdown().isClean)
        await gate.uncancellableValue()
      }
    }
    gate.complete(())
    await server.stop()
  }

  @Test func `a task that is registered while the tasks are cancelled is cancelled too`() throws {
    let registry = TaskRegistry()
    let id = try #require(registry.begin { _ in })
    let whenEmpty = Tally()
    #expect(registry.count == 1)
    registry.close()
    registry.cancelAll { whenEmpty.add() }
    let cancelled = Tally()
    registry.started(id) { cancelled.add() }
    #expect(cancelled.count == 1)
    #expect(whenEmpty.count == 0)
    registry.ended(id)
    #expect(whenEmpty.count == 1)
    #expect(registry.begin { _ in } == nil)
  }

  @Test func `a task of another sidecar's does not pass for one of this`() throws {
    let (registry, other) = (TaskRegistry(), TaskRegistry())
    let (mine, foreign) = (try #require(registry.begin { _ in }), try #require(other.begin { _ in }))
    registry.exempt(foreign)
    #expect(registry.hasTasks)
    registry.exempt(mine)
    #expect(!registry.hasTasks)
    registry.ended(mine)
    other.ended(foreign)
  }

  // MARK: What has given up leaves nothing behind

  @Test func `a call that has given up is forgotten where it waited`() async throws {
    let server = try TestServer(behavior: .script([.open, .ignorePings, .stopReading]))
    var configuration = WebSocketConfiguration()
    configuration.outboundCapacity = 1
    let client = try await WebSocketSidecar.connect(to: server.url, configuration: configuration)
    await #expect(throws: WebSocketError.timedOut(.receive)) { try await client.receive(timeout: .milliseconds(1)) }
    #expect(!client.shared.inbox.hasWaiters)
    await #expect(throws: WebSocketError.timedOut(.pong)) { try await client.ping([1], timeout: .milliseconds(1)) }
    #expect(client.shared.pings.pendingCount == 0)
    await #expect(throws: WebSocketError.timedOut(.send)) {
      while true { try await client.send(Array(repeating: 1, count: 1 << 20), timeout: .milliseconds(20)) }
    }
    #expect(!client.shared.sendQueue.hasWaiters)
    await client.shutdown(within: .zero)
    await server.stop()
  }

  // MARK: Descriptors

  @Test func `a socket that is closed twice closes nobody else's descriptor`() throws {
    let socket = StreamSocket(owning: dup(0))
    socket.close()
    let reused = dup(0)
    defer { Glibc.close(reused) }
    #expect(reused == socket.descriptor, "the lowest number that is free")
    socket.close()
    #expect(fcntl(reused, F_GETFD) != -1)
  }

  // MARK: The stack of a thread

  @Test func `the stack of a thread that was abandoned is freed although somebody keeps the sidecar`() async {
    // In a process of its own: stacks are the process's. Ended without LeakSanitizer, which does not see what a task keeps.
    await #expect(processExitsWith: .success) {
      let before = ProcessCensus.threadStacks()
      var kept: [WebSocketSidecar] = []
      for _ in 0..<40 {
        // One for each: the next thread could take the signal that is meant for the last.
        let gate = DispatchSemaphore(value: 0)
        let client = try WebSocketSidecar("ws://127.0.0.1:9/")
        client.thread.post { holdThread(gate) }
        await client.shutdown(within: .zero)
        gate.signal()
        kept.append(client)
      }
      guard eventually(within: .seconds(20), { LiveCounters.threads.value == 0 }) else { _exit(2) }
      // The C library keeps a few for later.
      guard eventually(within: .seconds(5), { ProcessCensus.threadStacks() < before + 20 }) else { _exit(3) }
      _exit(kept.count == 40 ? 0 : 4)
    }
  }

  // MARK: The peer

  @Test func `dropping the last reference tells the peer`() async throws {
    let server = try TestServer(behavior: .echo)
    var client: WebSocketSidecar? = try await WebSocketSidecar.connect(to: server.url)
    #expect(client?.closeStatus == nil)
    client = nil
    #expect(try await server.connection().receivedClose().code == .goingAway)
    await server.stop()
  }

  @Test func `an inbox that the last messages fill does not hide the end of the stream behind the Close`() async throws
  {
    let message = WebSocketMessage.binary(Array(repeating: 1, count: 1000))
    let server = try TestServer(
      behavior: .script([.open, .together([.send(message), .send(message), .sendClose()]), .receiveClose]))
    var configuration = WebSocketConfiguration()
    configuration.inboundCapacity = 1000
    let client = try await WebSocketSidecar.connect(to: server.url, configuration: configuration)
    let begin = ContinuousClock.now
    #expect(await eventually { () async in client.closeStatus != nil })
    #expect(ContinuousClock.now - begin < Connection.endOfStreamGrace, "the stream's end was seen, not given up")
    #expect(try await client.receive() == message)
    await client.shutdown()
    await server.stop()
  }

  @Test func `senders notice that the peer is gone although nobody receives, and receivers get the rest`()
    async throws
  {
    let server = try TestServer(behavior: .fireHose(message: .binary(Array(repeating: 1, count: 1000))))
    let client = try await WebSocketSidecar.connect(to: server.url)
    #expect(await eventually { () async in client.shared.inbox.isFull })
    try await server.connection().perform([.reset])
    // Nothing tells the test when the reset has arrived but that sending fails.
    #expect(
      await eventually { () async in
        do throws(WebSocketError) {
          _ = try await client.ping()
          return false
        } catch {
          return error == .connectionLost(nil)
        }
      })
    await #expect(throws: WebSocketError.self) { while try await client.receive() != nil {} }
    #expect(client.closeStatus != nil)
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
}

/// Code of the application's that does not return before the test says so, or has failed.
func holdThread(_ gate: DispatchSemaphore) { _ = gate.wait(timeout: .now() + 20) }

/// Blocked blocks in Dispatch's global queue, more than it starts threads for in the time of a test.
private struct TakenWorkers {
  private let gate = DispatchSemaphore(value: 0)
  private let count = 100

  init() {
    for _ in 0..<count { DispatchQueue.global().async { [gate] in gate.wait() } }
  }

  func release() {
    for _ in 0..<count { gate.signal() }
  }
}

/// A sidecar that its own log asks.
private final class Created: Sendable {
  let sidecar = Locked<WebSocketSidecar?>(nil)
}
