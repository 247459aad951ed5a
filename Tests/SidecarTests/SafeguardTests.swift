import Dispatch
import SidecarExecutor
import SidecarTesting
import TestSupport
import Testing

@testable import Sidecar

/// What would go wrong only in a rare order of events, or beside an application that leaves no room: one test for each
/// safeguard that no other test needs. Docs/Shutdown.md lists them all.
@Suite(.aloneWithCensus, .serialized) struct `Safeguards of the shutdown` {
  let bound = Duration.milliseconds(150)

  // MARK: When the application has taken every worker

  @Test func `the bound is kept although every worker of Dispatch is taken`() async throws {
    let server = try TestServer(behavior: .echo)
    let (report, elapsed) = try await onThread { [bound] in
      let workers = TakenWorkers()
      defer { workers.release() }
      let socket = try BlockingWebSocket(server.url)
      let gate = DispatchSemaphore(value: 0)
      defer { gate.signal() }
      socket.sidecar.connection.post { _ in holdThread(gate) }
      let begin = ContinuousClock.now
      let report = socket.shutdown(within: bound)
      return (report, ContinuousClock.now - begin)
    }
    #expect(elapsed <= bound + slack, "\(report)")
    #expect(report.abandoned == [.thread(name: "sidecar")])
    await server.stop()
  }

  @Test func `work behind the thread's end is done although every worker of Dispatch is taken`() async throws {
    let thread = try SidecarThread()
    #expect(await thread.shutdown())
    try await onThread { () throws -> Void in
      let workers = TakenWorkers()
      defer { workers.release() }
      #expect(try thread.postAndWait(until: .after(.seconds(5))) { thread.isCurrent })
    }
  }

  // MARK: In the middle of opening

  @Test func `a shutdown that meets the server's answer half way still says Close`() async throws {
    let created = Completion<WebSocketSidecar>()
    let entered = Completion<Void>()
    let gate = DispatchSemaphore(value: 0)
    // The client's thread is held while the answer is on its way: it finds the answer before it finds the order to close.
    let holding = TestServer.Step.open { _, _ in
      created.current?.connection.post { _ in
        entered.complete(())
        holdThread(gate)
      }
      _ = entered.wait(until: .after(.seconds(20)))
    }
    let ready = TestServer.Gate()
    let server = try TestServer(behavior: .script([.waitFor(ready), holding, .receiveClose, .sendClose()]))
    let client = try WebSocketSidecar(server.url)
    created.complete(client)
    ready.open()
    let peer = try await server.connection()
    #expect(await eventually { () async in peer.isOpen })
    client.coordinator.request(bound: .seconds(10), keepingUnread: false, payload: .normal)
    gate.signal()
    let report = await client.shutdown()
    #expect(report.isClean, "\(report)")
    #expect(try await peer.receivedClose().code == .normalClosure)
    await server.stop()
  }
}

/// Code of the application's that does not return before the test says so, or has failed.
private func holdThread(_ gate: DispatchSemaphore) { _ = gate.wait(timeout: .now() + 20) }

/// Blocked blocks in Dispatch's global queue, more than it starts threads for in the time of a test.
private struct TakenWorkers {
  private let gate = DispatchSemaphore(value: 0)
  private let count = 100

  init() {
    for _ in 0..<count { DispatchQueue.global().async { [gate] in gate.wait() } }
  }

  func release() {
    for _ in 0..<count { gate.signal() }
  }
}
