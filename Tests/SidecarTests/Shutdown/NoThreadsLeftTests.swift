import Glibc
import SidecarExecutor
import SidecarTestSupport
import SidecarTesting
import Testing

@testable import Sidecar

/// Promise 2 where the process can start no more threads. In processes of their own, because nobody can there.
@Suite struct `When no more threads can be started` {
  @Test func `a shutdown with a log keeps its bound, even if the log blocks`() async {
    await #expect(processExitsWith: .success) {
      let server = try TestServer(behavior: .echo)
      for blocks in [false, true] {
        var configuration = WebSocketConfiguration()
        configuration.onLog = { event in
          guard case .shutDown = event else { return }
          while blocks { pause() }
        }
        let client = try await WebSocketSidecar.connect(to: server.url, configuration: configuration)
        try await client.send("hello")
        FaultInjection.inject(.startThread) { EAGAIN }
        let begin = ContinuousClock.now
        let report = await client.shutdown(within: .milliseconds(200))
        #expect(ContinuousClock.now - begin < .seconds(2))
        #expect(report.isClean)
        FaultInjection.inject(.startThread, nil)
      }
    }
  }

  @Test func `a shutdown cancels a run in time, even if its cancellation handler blocks`() async {
    await #expect(processExitsWith: .success) {
      let server = try TestServer(behavior: .echo)
      for blocks in [false, true] {
        let client = try await WebSocketSidecar.connect(to: server.url)
        let isRunning = Promise<Void>()
        let run = Task {
          try await client.run { _ in
            await withTaskCancellationHandler {
              isRunning.complete(())
              _ = await Promise<Void>().value()
            } onCancel: {
              while blocks { pause() }
            }
          }
        }
        _ = await isRunning.uncancellableValue()
        FaultInjection.inject(.startThread) { EAGAIN }
        let begin = ContinuousClock.now
        let report = await client.shutdown(within: .milliseconds(200))
        #expect(ContinuousClock.now - begin < .seconds(2))
        #expect(report.isClean == !blocks)
        _ = await run.result
        FaultInjection.inject(.startThread, nil)
      }
      // Without LeakSanitizer: the thread that is blocked keeps its memory.
      _exit(0)
    }
  }

  @Test func `the first deadline of the process is met, and a held thread given up`() async {
    await #expect(processExitsWith: .success) {
      let server = try TestServer(behavior: .echo)
      let client = try await WebSocketSidecar.connect(to: server.url)
      FaultInjection.inject(.startThread) { EAGAIN }
      let begin = ContinuousClock.now
      await #expect(throws: WebSocketError.self) { try await client.receive(timeout: .milliseconds(10)) }
      client.thread.post { while true { pause() } }
      let report = await client.shutdown(within: .milliseconds(100))
      #expect(!report.isClean)
      #expect(ContinuousClock.now - begin < .seconds(2))
      // Without LeakSanitizer: the thread that is held keeps its memory.
      _exit(0)
    }
  }

  @Test func `a sidecar that cannot have its thread says so`() async {
    await #expect(processExitsWith: .success) {
      let server = try TestServer(behavior: .echo)
      FaultInjection.inject(.startThread) { EAGAIN }
      await #expect(throws: WebSocketError.self) { try await WebSocketSidecar.connect(to: server.url) }
    }
  }
}
