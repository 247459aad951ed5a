import Dispatch
import Sidecar
import SidecarExecutor
import SidecarTestSupport
import SidecarTesting
import Testing

/// Opening on a thread that the application holds.
@Suite(.aloneWithCensus) struct OpeningDeadlineTests {
  /// All time-outs, what opening adds to them, and the second that it has for cleaning up.
  private let bound = Duration.milliseconds(100) * 3 + .milliseconds(50) + .seconds(1)

  private var configuration: WebSocketConfiguration {
    var configuration = WebSocketConfiguration()
    configuration.resolutionTimeout = .milliseconds(100)
    configuration.connectTimeout = .milliseconds(100)
    configuration.handshakeTimeout = .milliseconds(100)
    return configuration
  }

  @Test(arguments: [false, true])
  func `connecting on a thread that is held ends with a typed error in time`(isBlocking: Bool) async throws {
    let server = try TestServer(behavior: .echo)
    let thread = try SidecarThread()
    let gate = DispatchSemaphore(value: 0)
    thread.post { gate.wait() }
    let begin = ContinuousClock.now
    await #expect(throws: WebSocketError.timedOut(.openingHandshake)) {
      if isBlocking {
        _ = try await onThread { [configuration] in
          try BlockingWebSocket(server.url, configuration: configuration, on: thread)
        }
      } else {
        _ = try await offThePool {
          try await WebSocketSidecar.connect(to: server.url, configuration: configuration, on: thread)
        }
      }
    }
    #expect(ContinuousClock.now - begin < bound + slack)
    gate.signal()
    #expect(await thread.shutdown())
    #expect(await server.stop())
  }

  @Test func `calls that wait for a held connection to open end in time`() async throws {
    let server = try TestServer(behavior: .echo)
    let thread = try SidecarThread()
    let gate = DispatchSemaphore(value: 0)
    thread.post { gate.wait() }
    let client = try WebSocketSidecar(server.url, configuration: configuration, on: thread)
    let begin = ContinuousClock.now
    await #expect(throws: WebSocketError.timedOut(.openingHandshake)) { try await client.connected() }
    await #expect(throws: WebSocketError.timedOut(.openingHandshake)) { try await client.send("late") }
    await #expect(throws: WebSocketError.timedOut(.openingHandshake)) { try await client.ping() }
    #expect(ContinuousClock.now - begin < bound + slack)
    gate.signal()
    await client.shutdown()
    #expect(await thread.shutdown())
    #expect(await server.stop())
  }
}
