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

  /// A peer that never answers the Close: only a refusal ends the call.
  @Test(arguments: [false, true], [false, true])
  func `a Ping is refused at once when closing has begun`(byShutdown: Bool, blocking: Bool) async throws {
    let server = try TestServer(behavior: .script([.open, .receiveClose, .waitFor(TestServer.Gate())]))
    let client = try await WebSocketSidecar.connect(to: server.url)
    async let closing: Void = {
      if byShutdown {
        await client.shutdown(within: .seconds(5))
      } else {
        _ = try? await client.close(timeout: .seconds(5))
      }
    }()
    try await server.connection().receivedClose()
    let begin = ContinuousClock.now
    await #expect(throws: WebSocketError.closed(nil)) {
      _ = blocking ? try await onThread { try BlockingWebSocket(client).ping() } : try await client.ping()
    }
    #expect(ContinuousClock.now - begin < slack)
    await server.stop()
    await closing
    await client.shutdown()
  }

  @Test func `a Ping that comes to the thread after the Close frame is refused`() async throws {
    let server = try TestServer(behavior: .script([.open, .receiveClose, .waitFor(TestServer.Gate())]))
    let client = try await WebSocketSidecar.connect(to: server.url)
    let (mayGoOn, isHeld) = (Promise<Void>(), Promise<Void>())
    client.thread.post {
      isHeld.complete(())
      _ = mayGoOn.wait(until: .after(patience))
    }
    await isHeld.uncancellableValue()
    client.connection.post { $0.close(.normal, deadline: .never) }
    let pinging = Task { try await client.ping() }
    #expect(await eventually { () async in client.shared.pings.pendingCount == 1 })
    mayGoOn.complete(())
    await #expect(throws: WebSocketError.closed(nil)) { try await pinging.value }
    await server.stop()
    await client.shutdown()
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
