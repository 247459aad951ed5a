import Dispatch
import Glibc
import SidecarExecutor
import SidecarProtocol
import SidecarTestSupport
import SidecarTesting
import SidecarTransport
import Testing

@testable import Sidecar

/// What opening leaves when it fails, or is given up.
@Suite(.aloneWithCensus, .serialized) struct `Opening that does not succeed` {
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

  @Test func `each step of connecting has its time limit`() async throws {
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
      guard case .value(let opening) = await client.openingResult.value(until: .after(.seconds(20))) else {
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

  @Test func `a server that has not answered yet is told too when a thread is abandoned`() async throws {
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

  @Test func `a race of connects that is cancelled starts no further attempt`() async throws {
    let full = try TestServer.fullPort()
    let port = try #require(UInt16(full.url.dropLast().split(separator: ":").last ?? ""))
    var configuration = WebSocketConfiguration()
    configuration.resolver = Resolver { _ throws(Resolver.Failure) -> [SocketAddress] in
      [.loopback(port: port), .loopback(port: port)]
    }
    let thread = try SidecarThread(name: "shared")
    for _ in 0..<3 {
      let client = try WebSocketSidecar("ws://two.invalid/", configuration: configuration, on: thread)
      // A descriptor, a deadline, an observer, and the next attempt or its descriptor.
      #expect(await thread.registers(4))
      await client.shutdown(within: .seconds(60))
      #expect(await thread.registrationCount() == 0)
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

  @Test func `a look-up that is answered after the end has no effect`() async throws {
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
    let parts: WebSocketSidecar.Parts
    do {
      let client = try WebSocketSidecar("ws://slow.invalid:\(port)/", configuration: configuration, on: thread)
      parts = client.parts
      _ = await entered.uncancellableValue()
      #expect(await client.shutdown(within: .seconds(5)).abandoned == [.resolution(host: "slow.invalid")])
    }
    #expect(await parts.areFreed(), "the look-up holds nothing of the connection")
    gate.signal()
    _ = await left.uncancellableValue()

    // Once more, while the application holds the sidecar.
    let client = try WebSocketSidecar("ws://slow.invalid:\(port)/", configuration: configuration, on: thread)
    await client.shutdown(within: .seconds(5))
    gate.signal()
    #expect(await client.lookUpEnds())
    // After what the answer has posted, and after the timer of a first attempt.
    await thread.settle()
    #expect(await thread.registrationCount() == 0)
    #expect(server.connectionCount == 0)
    #expect(await thread.shutdown())
    await server.stop()
  }

  @Test func `a sidecar that is dropped before it starts asks for its end at once`() async throws {
    let gate = DispatchSemaphore(value: 0)
    let thread = try SidecarThread(name: "held")
    thread.post { _ = gate.wait(timeout: .now() + 60) }
    weak var dropped: WebSocketSidecar?
    let opening: Promise<WebSocketSidecar.OpeningResult>
    do {
      let client = try WebSocketSidecar("ws://127.0.0.1:9/", on: thread)
      (dropped, opening) = (client, client.openingResult)
    }
    #expect(dropped == nil, "the thread that is held does not hold the sidecar")
    #expect(opening.current != nil)
    gate.signal()
    #expect(await thread.shutdown())
  }

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
}
