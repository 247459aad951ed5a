import Dispatch
import Glibc
import SidecarTestSupport
import Testing

@testable import SidecarExecutor

@Suite(.census) struct `A queue of jobs` {
  @Test func `wakes the loop when it sleeps, once, and not before or after`() throws {
    let wake = try WakeSignal()
    let queue = JobQueue(wake: wake)
    queue.enqueue(.closure {})
    #expect(!wake.isSignalled)
    var batch: [Job] = []
    queue.take(into: &batch)
    #expect(queue.park() == .none)
    queue.enqueue(.closure {})
    #expect(wake.isSignalled)
    wake.clear()
    queue.enqueue(.closure {})
    #expect(!wake.isSignalled)
    batch.removeAll()
    queue.take(into: &batch)
    #expect(batch.count == 2)
    #expect(queue.park() == .none)
    queue.unpark()
    queue.enqueue(.closure {})
    #expect(!wake.isSignalled)
  }

  /// Has another thread hand in a job while it is served itself.
  private final class BusyHandler: ReadinessHandler {
    private let queue: JobQueue
    private let wake: WakeSignal
    private(set) var wakeIsSignalled: Bool?

    init(_ queue: JobQueue, _ wake: WakeSignal) {
      self.queue = queue
      self.wake = wake
    }

    func descriptorIsReady(_ readiness: Readiness) {
      let handedIn = DispatchSemaphore(value: 0)
      BlockingWorkQueue.run { [queue] in
        queue.enqueue(.closure { queue.requestStop() })
        handedIn.signal()
      }
      handedIn.wait()
      wakeIsSignalled = wake.isSignalled
    }
  }

  @Test func `a job that comes while a descriptor is served costs no wake-up, and is not forgotten`() async throws {
    let pipe = try Pipe()
    defer { pipe.close() }
    let wakeIsSignalled = try await onThread {
      let wake = try WakeSignal()
      let queue = JobQueue(wake: wake)
      let loop = try EventLoop(jobs: queue, wake: wake)
      let handler = BusyHandler(queue, wake)
      queue.asCurrent {
        #expect(throws: Never.self) { try loop.register(pipe.readEnd, interest: .readable, handler: handler) }
        #expect(write(pipe.writeEnd, "x", 1) == 1)
        // Until the job asks it to stop.
        loop.run()
      }
      return handler.wakeIsSignalled
    }
    #expect(wakeIsSignalled == false)
  }
}

extension WakeSignal {
  fileprivate var isSignalled: Bool {
    var state = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&state, 1, 0) != 0
  }
}
