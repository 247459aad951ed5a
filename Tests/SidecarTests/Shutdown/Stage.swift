import Dispatch
import SidecarExecutor
import SidecarTesting
import SidecarTransport
import SidecarTestSupport
import Testing

@testable import Sidecar

/// A client and a server in one of the matrix's phases.
final class Stage: @unchecked Sendable {
  // Used by one test, from one task at a time.

  static let slowHost = "slow.invalid"

  /// A call that is pending, and has to end.
  struct Call: Sendable {
    let name: String
    let ended = Promise<Void>()
  }

  let phase: Phase
  private(set) var client: WebSocketSidecar?
  private let server: TestServer?
  private var fullPort: TestServer.FullPort?
  /// Holds the resolver until the end of the test.
  private let resolverGate = DispatchSemaphore(value: 0)
  private let resolverEntered = Promise<Void>()
  private let resolverLeft = Promise<Void>()
  private let handled = Promise<Void>()

  init(_ phase: Phase, peerIsSilent: Bool) async throws {
    self.phase = phase
    var configuration = WebSocketConfiguration()
    configuration.outboundCapacity = 16 * 1024
    configuration.inboundCapacity = 16 * 1024
    var url = "ws://\(Stage.slowHost)/"
    switch phase {
    case .resolving:
      (server, fullPort) = (nil, nil)
      configuration.resolver = Resolver {
        [resolverGate, resolverEntered, resolverLeft] _ throws(Resolver.Failure) -> [SocketAddress] in
        resolverEntered.complete(())
        resolverGate.wait()
        resolverLeft.complete(())
        return []
      }
    case .connecting:
      let port = try TestServer.fullPort()
      (server, fullPort) = (nil, port)
      url = port.url
    default:
      let server = try TestServer(behavior: Stage.behavior(phase, peerIsSilent: peerIsSilent))
      (self.server, fullPort) = (server, nil)
      url = server.url
    }
    let handled = handled
    let handler: MessageHandler = { _, _, _ in handled.complete(()) }
    client = try WebSocketSidecar(
      url, configuration: configuration, handler: phase == .handling ? handler : nil)
  }

  private static func behavior(_ phase: Phase, peerIsSilent: Bool) -> TestServer.Behavior {
    let message = WebSocketMessage.binary(Array(repeating: 7, count: 500))
    switch phase {
    case .resolving, .connecting: return .acceptOnly
    case .upgrading: return .script([.receiveRequest, .continue(as: .silent)])
    case .idle, .receiving: return peerIsSilent ? .silent : .echo
    case .flooded, .handling:
      guard peerIsSilent else { return .fireHose(message: message) }
      return .script([.open] + Array(repeating: .send(message), count: 2000) + [.continue(as: .silent)])
    // A peer that does not read can't see the Close either; it is silent in any case.
    case .sending: return .script([.open, .stopReading, .continue(as: .silent)])
    case .closeSent: return .silent
    case .closeReceived: return .script([.open, .sendClose(.goingAway), .continue(as: .silent)])
    }
  }

  /// Brings the client into the phase.
  func reach() async throws {
    guard let client else { return }
    switch phase {
    case .resolving:
      _ = await resolverEntered.value(until: .after(.seconds(20)))
      return
    case .connecting:
      return
    case .upgrading:
      _ = try await server?.connection().request()
      return
    default:
      try await client.connected()
    }
    switch phase {
    case .flooded:
      #expect(await client.inboxFills())
    case .handling:
      _ = await handled.value(until: .after(.seconds(20)))
    case .sending:
      if !startsNoCalls { #expect(await client.senderStartsToWait()) }
    case .receiving:
      if !startsNoCalls { #expect(await client.receiverStartsToWait()) }
    case .closeSent:
      try client.startClosing(timeout: .seconds(60))
      _ = try await server?.connection().receivedClose()
    case .closeReceived:
      // Senders are refused as soon as the peer's Close has come, and nothing else announces that.
      #expect(
        await eventually { () async in
          do throws(WebSocketError) { _ = try client.trySend("x") } catch { return true }
          return false
        })
    case .idle, .resolving, .connecting, .upgrading:
      break
    }
  }

  private var startsNoCalls = true

  /// Starts one of every call that can be pending in the phase; each has to end, exactly once, by itself.
  func startCalls() -> [Call] {
    guard let client else { return [] }
    startsNoCalls = false
    var calls: [Call] = []
    func start(_ name: String, _ body: @escaping @Sendable () async throws -> Void) {
      let call = Call(name: name)
      calls.append(call)
      Task {
        try? await body()
        call.ended.complete(())
      }
    }
    start("connected") { try await client.connected() }
    start("run") { try await client.run { _ in while true { try await Task.sleep(for: .seconds(60)) } } }
    switch phase {
    case .resolving, .connecting, .upgrading:
      start("send before opening") { try await client.send("x") }
      start("blocking receive") { _ = try await onThread { try BlockingWebSocket(client).receive() } }
      start("messages") { for await _ in client.messages {} }
    case .sending:
      start("send") { while true { try await client.send(Array(repeating: 1, count: 100_000)) } }
      start("blocking send") {
        try await onThread { while true { try BlockingWebSocket(client).send(Array(repeating: 1, count: 100_000)) } }
      }
      start("ping") { try await client.ping() }
    case .receiving:
      start("receive") { _ = try await client.receive() }
      start("inbound") { for try await _ in client.inbound {} }
      start("messages") { for await _ in client.messages {} }
      start("blocking receive") { _ = try await onThread { try BlockingWebSocket(client).receive() } }
    case .closeSent, .closeReceived:
      start("close") {
        try await client.connected()
        _ = try await client.close(timeout: .seconds(60))
      }
      start("inbound") { for try await _ in client.inbound {} }
    case .idle, .flooded, .handling:
      start("ping") { while true { try await client.ping() } }
    }
    return calls
  }

  /// Makes the peer do something, and waits until the client has seen the end that it brings.
  func act(_ steps: [TestServer.Step]) async {
    guard let connection = try? await server?.connection(), let client else { return }
    connection.perform(steps)
    // In two phases the client reads nothing, and can't see an end of the stream before it does.
    if phase != .flooded, phase != .sending || steps.first?.description == "reset" {
      await client.closeStatusKnown()
    }
  }

  func dropClient() {
    client = nil
  }

  /// Ends what is not the client's; returns whether it did in time.
  func clean() async -> Bool {
    if phase == .resolving {
      resolverGate.signal()
      _ = await resolverLeft.value(until: .after(.seconds(20)))
    }
    fullPort = nil
    return await server?.stop() ?? true
  }
}
