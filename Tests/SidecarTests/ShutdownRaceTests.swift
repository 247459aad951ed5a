import Dispatch
import SidecarExecutor
import SidecarTesting
import SidecarTestSupport
import Testing

@testable import Sidecar

/// A shutdown that comes at the worst moment.
@Suite(.aloneWithCensus, .serialized) struct `A shutdown in a race` {
  /// Holds a thread until what is returned is signalled.
  private func hold(_ thread: SidecarThread) async -> DispatchSemaphore {
    let isHeld = Promise<Void>()
    let release = DispatchSemaphore(value: 0)
    thread.post {
      isHeld.complete(())
      holdThread(release)
    }
    _ = await isHeld.value()
    return release
  }

  @Test func `one that is requested while the server's answer is on its way still closes in order`() async throws {
    let answer = TestServer.Gate()
    let server = try TestServer(
      behavior: .script([.receiveRequest, .waitFor(answer), .open, .continue(as: .echo)]))
    let client = try WebSocketSidecar(server.url)
    let connection = try await server.connection(0)
    _ = try await connection.request()

    // The thread is held until the answer has come and the shutdown was requested: it sees the answer first.
    let release = await hold(client.thread)
    answer.open()
    try await connection.scriptEnded()
    let shutdown = Task.immediate { await client.shutdown(within: .seconds(20)) }
    release.signal()

    let report = await shutdown.value
    #expect(report.isClean)
    #expect(report.elapsed < .seconds(10))
    // Either it had not opened and was given up, or it had and the Close frames were exchanged.
    let ending = try await connection.ended()
    #expect(ending.close != nil, "the connection was open, so that a Close frame was due")
    await server.stop()
  }

  @Test func `a timer that is armed when it is over holds nothing`() async throws {
    let server = try TestServer(behavior: .echo)
    weak var coordinator: ShutdownCoordinator?
    weak var shared: SidecarThread?
    do {
      let thread = try SidecarThread()
      let client = try WebSocketSidecar(server.url, on: thread)
      (coordinator, shared) = (client.coordinator, thread)
      await client.shutdown(within: .zero)
      // What a thread does that was told to a moment ago, and comes to it only now.
      client.coordinator.wake(at: .now + .seconds(600), .max)
    }
    #expect(await eventually { () async in coordinator == nil && shared == nil })
    await server.stop()
  }
}
