import SidecarTestSupport
import SidecarTesting
import Testing

@testable import Sidecar

/// Pings, from the call to the Pong.
@Suite(.aloneWithCensus, .serialized) struct `Pings` {
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

  @Test func `the first end counts for Pings too`() throws {
    let pings = PendingPings()
    pings.end(.closed(nil))
    pings.end(.cancelled)
    let late = PendingPings.Answer()
    pings.expect(try PendingPings.payload(nil), answer: late)
    #expect(throws: WebSocketError.closed(nil)) { try late.current?.get() }
  }
}
