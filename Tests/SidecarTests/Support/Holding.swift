import Dispatch
import SidecarExecutor
import SidecarTestSupport
import Testing

@testable import Sidecar

/// Blocks like code of the application that does not return before the test says so, or has failed.
func holdThread(_ gate: DispatchSemaphore) { _ = gate.wait(timeout: .now() + 20) }

extension SidecarThread {
  /// Holds the thread until `gate` is signalled; returns when it is held.
  func hold(until gate: DispatchSemaphore) async {
    let isHeld = Promise<Void>()
    post {
      isHeld.complete(())
      holdThread(gate)
    }
    await isHeld.uncancellableValue()
  }
}

extension WebSocketSidecar {
  /// Connects, and holds the sidecar's thread until `gate` is signalled.
  static func held(at url: String, until gate: DispatchSemaphore) async throws -> WebSocketSidecar {
    let client = try await connect(to: url)
    await client.thread.hold(until: gate)
    return client
  }
}

/// Blocks that wait in Dispatch's global queue, more than it starts threads for in the time of a test.
struct TakenWorkers {
  private let gate = DispatchSemaphore(value: 0)
  private let count = 100

  init() {
    for _ in 0..<count { DispatchQueue.global().async { [gate] in gate.wait() } }
  }

  func release() {
    for _ in 0..<count { gate.signal() }
  }
}
