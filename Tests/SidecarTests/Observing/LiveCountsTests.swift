import SidecarExecutor
import SidecarTestSupport
import SidecarTesting
import Testing

@testable import Sidecar

/// What is true when an end is announced.
@Suite(.aloneWithCensus, .serialized) struct `What is counted` {
  @Test func `the end is announced when everything else about it is true`() async throws {
    let server = try TestServer(behavior: .echo)
    let created = Created()
    let seen = Promise<(CloseStatus?, Int)>()
    var configuration = WebSocketConfiguration()
    configuration.onLog = { event in
      // The last thing before the announcement.
      if case .connectionEnded = event {
        seen.complete((created.sidecar.withLock { $0 }?.endedConnectionStatus, LiveCounts.current.connections))
      }
    }
    let client = try WebSocketSidecar(server.url, configuration: configuration)
    created.sidecar.withLock { $0 = client }
    // The sidecar holds its log, and the log the sidecar.
    defer { created.sidecar.withLock { $0 = nil } }
    try await client.connected()
    let threads = Promise<Int>()
    client.thread.whenEnded { threads.complete(LiveCounts.current.threads) }
    await client.shutdown()
    let (status, connections) = await seen.uncancellableValue()
    #expect(status == nil)
    #expect(connections <= 1, "only the server's is left")
    #expect(await threads.uncancellableValue() == 1, "only the server's is left")
    await server.stop()
  }

  @Test func `a task is counted out before its caller gets the result`() async throws {
    let server = try TestServer(behavior: .echo)
    let client = try await WebSocketSidecar.connect(to: server.url)
    for _ in 0..<2000 {
      try await client.run { _ in }
      #expect(LiveCounts.current.tasks == 0)
    }
    await client.shutdown()
    await server.stop()
  }

  @Test func `a sidecar is counted out before its report`() async throws {
    let client = try WebSocketSidecar("ws://127.0.0.1:9/")
    let sidecars = Promise<Int>()
    client.whenReported { sidecars.complete(LiveCounts.current.sidecars) }
    await client.shutdown()
    #expect(await sidecars.uncancellableValue() == 0)
  }
}

/// A sidecar that its own log asks.
private final class Created: Sendable {
  let sidecar = Locked<WebSocketSidecar?>(nil)
}
