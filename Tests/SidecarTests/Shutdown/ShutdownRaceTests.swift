import Dispatch
import SidecarExecutor
import SidecarTesting
import SidecarTestSupport
import Testing

@testable import Sidecar

/// A shutdown that comes at the worst moment.
@Suite(.aloneWithCensus, .serialized) struct `A shutdown in a race` {
  @Test func `a shutdown that is requested while the server's answer is on its way still closes in order`() async throws
  {
    let answer = TestServer.Gate()
    let server = try TestServer(
      behavior: .script([.receiveRequest, .waitFor(answer), .open, .continue(as: .echo)]))
    let client = try WebSocketSidecar(server.url)
    let connection = try await server.connection(0)
    _ = try await connection.request()

    // The thread is held until the answer has come and the shutdown was requested: it sees the answer first. That the
    // server has written the answer does not mean yet that it has come: on a busy machine the kernel delivers it later.
    let descriptor = try #require(await client.descriptor())
    let release = DispatchSemaphore(value: 0)
    await client.thread.hold(until: release)
    answer.open()
    #expect(try await onThread { becomesReadable(descriptor) })
    let shutdown = Task.immediate { await client.shutdown(within: .seconds(20)) }
    release.signal()

    let report = await shutdown.value
    #expect(report.isClean)
    #expect(report.elapsed < .seconds(10))
    let ending = try await connection.ended()
    #expect(ending.close != nil, "the connection was open, so that a Close frame was due")
    await server.stop()
  }

  @Test func `a timer that is armed after the shutdown holds nothing`() async throws {
    let server = try TestServer(behavior: .echo)
    let parts: WebSocketSidecar.Parts
    do {
      let thread = try SidecarThread()
      let client = try WebSocketSidecar(server.url, on: thread)
      parts = client.parts
      await client.shutdown(within: .zero)
      // What a thread does that was told to a moment ago, and comes to it only now.
      client.armShutdownTimer(in: .seconds(600), decision: .max)
    }
    #expect(await parts.areFreed(withThread: true))
    await server.stop()
  }
}
