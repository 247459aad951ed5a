import Dispatch
import Glibc
import SidecarExecutor
import SidecarTestSupport
import Synchronization
import Testing

@testable import SidecarTransport

@Suite("Connector", .census) struct ConnectorTests {
  private let soon = Duration.milliseconds(20)

  /// A resolver whose look-ups hang until the value is gone.
  private final class HangingResolver: Sendable {
    private static let count = Atomic(0)
    let host = "hanging\(count.add(1, ordering: .relaxed).newValue).invalid"
    let entered = Promise<Void>()
    let left = Promise<Void>()
    let resolver: Resolver
    private let gate = DispatchSemaphore(value: 0)

    init() {
      resolver = Resolver { [gate, entered, left] host throws(Resolver.Failure) in
        entered.complete(())
        gate.wait()
        defer { left.complete(()) }
        throw .resolution(ResolutionError(host: host, code: EAI_AGAIN))
      }
    }

    func open() { gate.signal() }

    deinit { gate.signal() }
  }

  // MARK: Connecting

  @Test func `a numeric address on this machine is connected before start returns, on a thread that does not run yet`()
    async throws
  {
    let listener = try ListeningSocket.listening()
    let thread = try SidecarThread(unstarted: "unstarted")
    let outcome = Promise<ConnectHarness.Outcome>()
    thread.beforeStart {
      let connector = Connector(
        to: listener.endpoint, timeouts: ConnectHarness.patient, loop: thread.loop, thread: thread
      ) { outcome.complete($0) }
      connector.start()
      #expect(thread.loop.registrationCount == 0)
    }
    let stream = try #require(try outcome.current?.get())
    #expect(stream.remoteAddress == listener.address)
    stream.close()
    try thread.start()
    #expect(await thread.shutdown())
  }

  @Test func `a name is looked up, and connected to at the port of the endpoint`() async throws {
    let listener = try ListeningSocket.listening()
    let harness = try ConnectHarness(
      .tcp(host: "name.invalid", port: listener.address.port), resolver: Resolver { _ in [.loopback(port: 0)] })
    #expect(try await harness.result().get().remoteAddress == listener.address)
    #expect(harness.hostBeingResolved == nil)
    #expect(await harness.registrationCount() == 0)
  }

  @Test func `a host that refuses is a connect error with the address`() async throws {
    let unheard = try ListeningSocket(boundTo: .loopback(port: 0))
    guard case .connect(let error) = try await ConnectHarness(unheard.endpoint).failure() else {
      Issue.record("no ConnectError")
      return
    }
    let refused = SystemError("connect", code: ECONNREFUSED)
    #expect(error.attempts == [.init(address: unheard.address.description, error: refused)])
  }

  @Test func `a name that does not exist is a resolution error`() async throws {
    let error = ResolutionError(host: "name.invalid", code: EAI_NONAME)
    let resolver = Resolver { _ throws(Resolver.Failure) in throw .resolution(error) }
    #expect(
      try await ConnectHarness(.tcp(host: "name.invalid", port: 80), resolver: resolver).failure() == .resolution(error)
    )
  }

  @Test func `an endpoint that leads nowhere is refused without asking anybody`() async throws {
    #expect(
      try await ConnectHarness(.tcp(host: "127.0.0.1", port: 0)).failure()
        == .invalidEndpoint(reason: "port 0 cannot be connected to"))
    #expect(
      try await ConnectHarness(.tcp(host: "localhost\0.example", port: 1)).failure()
        == .invalidEndpoint(reason: "the name contains a NUL character"))
  }

  // MARK: Time

  @Test func `each step has its time, and all of them have a deadline`() async throws {
    let hanging = HangingResolver()
    let hole = try BlackHole()
    let name = Endpoint.tcp(host: hanging.host, port: 80)
    let resolving = try ConnectHarness(
      name, resolver: hanging.resolver, timeouts: .init(resolve: soon, connect: patience))
    #expect(try await resolving.failure() == .timedOut(.resolve))
    let connecting = try ConnectHarness(hole.listener.endpoint, timeouts: .init(resolve: patience, connect: soon))
    #expect(try await connecting.failure() == .timedOut(.connect))
    #expect(await connecting.registrationCount() == 0)
    let late = try ConnectHarness(name, resolver: hanging.resolver, deadline: .after(soon))
    #expect(try await late.failure() == .timedOut(.resolve))
    let later = try ConnectHarness(hole.listener.endpoint, deadline: .after(soon))
    #expect(try await later.failure() == .timedOut(.connect))
  }

  @Test func `those that wait for one look-up each have their own time`() async throws {
    let hanging = HangingResolver()
    let name = Endpoint.tcp(host: hanging.host, port: 80)
    let patient = try ConnectHarness(
      name, resolver: hanging.resolver, timeouts: .init(resolve: .seconds(600), connect: .seconds(600)))
    _ = await hanging.entered.uncancellableValue()
    let hasty = try ConnectHarness(name, resolver: hanging.resolver, timeouts: .init(resolve: soon, connect: soon))
    #expect(try await hasty.failure() == .timedOut(.resolve))
    #expect(patient.outcome.current == nil)
    hanging.open()
    #expect(try await patient.failure() == .resolution(ResolutionError(host: hanging.host, code: EAI_AGAIN)))
  }

  // MARK: Giving up

  @Test func `after cancel nothing is called, and nothing is left in the loop`() async throws {
    let hole = try BlackHole()
    let connecting = try ConnectHarness(hole.listener.endpoint)
    #expect(await eventually { () async in await connecting.registrationCount() == 2 }, "a descriptor and a timer")
    await connecting.cancel()
    #expect(await connecting.registrationCount() == 0)
    #expect(connecting.outcome.current == nil)

    let hanging = HangingResolver()
    let resolving = try ConnectHarness(.tcp(host: hanging.host, port: 80), resolver: hanging.resolver)
    _ = await hanging.entered.uncancellableValue()
    #expect(await eventually { () async in await resolving.registrationCount() == 1 }, "a timer")
    await resolving.cancel()
    #expect(await resolving.registrationCount() == 0)
    hanging.open()
    _ = await hanging.left.uncancellableValue()
    #expect(await eventually { () async in resolving.hostBeingResolved == nil })
    await resolving.cancel()
    #expect(resolving.outcome.current == nil)
  }

  @Test func `a look-up that was given up is named until it ends`() async throws {
    let hanging = HangingResolver()
    let harness = try ConnectHarness(.tcp(host: hanging.host, port: 80), resolver: hanging.resolver)
    _ = await hanging.entered.uncancellableValue()
    #expect(await eventually { () async in harness.hostBeingResolved == hanging.host })
    await harness.cancel()
    #expect(harness.hostBeingResolved == hanging.host)
    hanging.open()
    #expect(await eventually { () async in harness.hostBeingResolved == nil })
  }

  @Test func `a look-up that hangs keeps neither the connector nor the thread`() async throws {
    let hanging = HangingResolver()
    weak var thread: SidecarThread?
    do {
      let harness = try ConnectHarness(.tcp(host: hanging.host, port: 80), resolver: hanging.resolver)
      thread = harness.thread
      _ = await hanging.entered.uncancellableValue()
      await harness.cancel()
      harness.drop()
    }
    #expect(await eventually { () async in thread == nil })
  }

  // MARK: Resources

  @Test func `without a descriptor the process is to blame, for a number and for a name`() async {
    await #expect(processExitsWith: .success) {
      guard let listener = try? ListeningSocket.listening(),
        // Made, and their threads too, while there is room.
        let thread = try? SidecarThread(name: "poor"), await threadRuns(thread)
      else { _exit(1) }
      let ready = Promise<Void>()
      _ = Resolver.system.resolve("localhost") { _ in ready.complete(()) }
      _ = await ready.uncancellableValue()
      takeDescriptors(leaving: 0)
      for (host, call) in [("127.0.0.1", "socket"), ("localhost", "getaddrinfo")] {
        guard case .failure(.system(let error)) = await connect(to: host, listener.address.port, on: thread) else {
          _exit(2)
        }
        guard error == SystemError(call, code: EMFILE) else { _exit(3) }
      }
      _exit(0)
    }
  }

  @Test func `without a thread for the look-up the process is to blame, and a number is still connected to`() async {
    await #expect(processExitsWith: .success) {
      guard let listener = try? ListeningSocket.listening(), let thread = try? SidecarThread(name: "poor"),
        await threadRuns(thread)
      else { _exit(1) }
      FaultInjection.inject(.startThread) { EAGAIN }
      for (host, call) in [("localhost", "pthread_create"), ("127.0.0.1", nil)] {
        switch await connect(to: host, listener.address.port, on: thread) {
        case .success where call == nil: break
        case .failure(.system(let error)) where error.call == call && error.code == EAGAIN: break
        default: _exit(2)
        }
      }
      _exit(0)
    }
  }
}

private func threadRuns(_ thread: SidecarThread) async -> Bool {
  let runs = Promise<Void>()
  thread.post { runs.complete(()) }
  await runs.uncancellableValue()
  return true
}

/// Connects on the thread, and returns what came of it.
private func connect(to host: String, _ port: UInt16, on thread: SidecarThread) async -> ConnectHarness.Outcome {
  let outcome = Promise<ConnectHarness.Outcome>()
  let kept = Locked<Connector?>(nil)
  thread.post {
    let connector = Connector(
      to: .tcp(host: host, port: port), timeouts: ConnectHarness.patient, loop: thread.loop, thread: thread
    ) { outcome.complete($0) }
    kept.withLock { $0 = connector }
    connector.start()
  }
  return await outcome.uncancellableValue()
}
