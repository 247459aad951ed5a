import Dispatch
import Glibc
import SidecarTestSupport
import Testing

@testable import SidecarExecutor

@Suite(.census) struct `A queue of blocking work` {
  private func queue(maximumThreads: Int, idleLimit: Duration = .seconds(5)) -> BlockingWorkQueue {
    BlockingWorkQueue(name: "test-work", minimumThreads: 0, maximumThreads: maximumThreads, idleLimit: idleLimit)
  }

  @Test func `work that blocks holds up no other`() async throws {
    let queue = queue(maximumThreads: 100)
    let gate = DispatchSemaphore(value: 0)
    for _ in 0..<50 { try queue.run { gate.wait() } }
    let ran = Promise<Void>()
    try queue.run { ran.complete(()) }
    await ran.uncancellableValue()
    for _ in 0..<50 { gate.signal() }
  }

  @Test func `one more thread than is needed is there before work begins`() async throws {
    let queue = queue(maximumThreads: 100)
    let gate = DispatchSemaphore(value: 0)
    let threads = Promise<Int>()
    try queue.run {
      threads.complete(queue.threadCount)
      gate.wait()
    }
    #expect(await threads.uncancellableValue() == 2)
    gate.signal()
  }

  @Test func `work begins in the order in which it came`() async throws {
    let queue = queue(maximumThreads: 1)
    let order = Locked<[Int]>([])
    let done = Promise<Void>()
    for index in 0..<1000 { try queue.run { order.withLock { $0.append(index) } } }
    try queue.run { done.complete(()) }
    await done.uncancellableValue()
    #expect(order.withLock { $0 } == Array(0..<1000))
  }

  @Test func `there are never more threads than allowed, and work waits for one of them`() async throws {
    let queue = queue(maximumThreads: 3)
    let gate = DispatchSemaphore(value: 0)
    let (running, ran) = (Tally(), Tally())
    let (threeRun, allRan) = (Promise<Void>(), Promise<Void>())
    for _ in 0..<20 {
      try queue.run {
        if running.add() == 3 { threeRun.complete(()) }
        gate.wait()
        if ran.add() == 20 { allRan.complete(()) }
      }
    }
    await threeRun.uncancellableValue()
    #expect(queue.threadCount == 3)
    for _ in 0..<20 { gate.signal() }
    await allRan.uncancellableValue()
    #expect(queue.threadCount <= 3)
  }

  @Test func `threads without work end, and the queue can be freed and used again`() async throws {
    weak var freed: BlockingWorkQueue?
    do {
      let queue = queue(maximumThreads: 10, idleLimit: .milliseconds(1))
      freed = queue
      for _ in 0..<2 {
        let ran = Promise<Void>()
        try queue.run { ran.complete(()) }
        await ran.uncancellableValue()
        // Its threads end by themselves.
        #expect(await eventually { () async in queue.threadCount == 0 })
      }
    }
    // The last thread may still hold it for a moment.
    #expect(await eventually { () async in freed == nil })
  }

  @Test func `no work is lost when it comes while a thread ends`() async throws {
    let queue = queue(maximumThreads: 2, idleLimit: .zero)
    for _ in 0..<2000 {
      let ran = Promise<Void>()
      try queue.run { ran.complete(()) }
      await ran.uncancellableValue()
    }
  }

  @Test func `what work captured is released before its thread takes other work`() async throws {
    final class Blocking: Sendable {
      let gate: DispatchSemaphore
      init(_ gate: DispatchSemaphore) { self.gate = gate }
      deinit { gate.wait() }
    }
    let queue = queue(maximumThreads: 10)
    let gate = DispatchSemaphore(value: 0)
    try queue.run { [object = Blocking(gate)] in _ = object }
    for _ in 0..<10 {
      let ran = Promise<Void>()
      try queue.run { ran.complete(()) }
      await ran.uncancellableValue()
    }
    gate.signal()
  }
}
