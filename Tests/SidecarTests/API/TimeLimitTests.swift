import SidecarTestSupport
import SidecarTesting
import Testing

@testable import Sidecar

/// Time limits that calls are given, and what a call leaves that has reached its own.
@Suite(.aloneWithCensus, .serialized) struct `Time limits of calls` {
  @Test func `a call that has timed out is no longer counted as waiting`() async throws {
    let server = try TestServer(behavior: .script([.open, .ignorePings, .stopReading]))
    var configuration = WebSocketConfiguration()
    configuration.outboundCapacity = 1
    let client = try await WebSocketSidecar.connect(to: server.url, configuration: configuration)
    await #expect(throws: WebSocketError.timedOut(.receive)) { try await client.receive(timeout: .milliseconds(1)) }
    #expect(!client.hasWaitingReceiver)
    await #expect(throws: WebSocketError.timedOut(.pong)) { try await client.ping([1], timeout: .milliseconds(1)) }
    #expect(client.pendingPingCount == 0)
    await #expect(throws: WebSocketError.timedOut(.send)) {
      while true { try await client.send(Array(repeating: 1, count: 1 << 20), timeout: .milliseconds(20)) }
    }
    #expect(!client.hasWaitingSender)
    await client.shutdown(within: .zero)
    await server.stop()
  }

  @Test func `a bound below zero is reported as none`() async throws {
    let client = try WebSocketSidecar("ws://127.0.0.1:9/")
    #expect(await client.shutdown(within: .seconds(-60)).bound == .zero)
  }

  @Test func `a time limit that is too long to count is accepted`() async throws {
    let server = try TestServer(behavior: .echo)
    let times = [100, 200, 290, 1000, Int64.max / 31_556_952].map { Duration.seconds($0 * 31_556_952) }
    // The last one has more seconds than 64 bits hold.
    for time in times + [.seconds(Int64.max) * 2] {
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
}
