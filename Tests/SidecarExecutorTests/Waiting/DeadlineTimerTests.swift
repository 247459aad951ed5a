import Dispatch
import Glibc
import SidecarTestSupport
import Testing

@testable import SidecarExecutor

/// Tells the name of the thread that frees it, and holds that thread until it may go on.
private final class Witness: Sendable {
  private let thread: Promise<String>
  private let gate: DispatchSemaphore?

  init(_ thread: Promise<String>, heldBy gate: DispatchSemaphore? = nil) {
    (self.thread, self.gate) = (thread, gate)
  }

  deinit {
    thread.complete(threadName())
    gate?.wait()
  }
}

private func threadName() -> String {
  guard let file = fopen("/proc/thread-self/comm", "r") else { return "" }
  defer { fclose(file) }
  var text = [CChar](repeating: 0, count: 64)
  fgets(&text, 64, file)
  return String(decoding: text.prefix { $0 > 0x20 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}

@Suite(.census) struct `Deadlines of the process` {
  private static let timers = "sidecar-timers"

  @Test func `an action that is due does not run on the timers' thread, nor is it released there`() async {
    for _ in 0..<200 {
      let (ranOn, freedOn) = (Promise<String>(), Promise<String>())
      let timer = DeadlineTimer(.after(.microseconds(100))) { [witness = Witness(freedOn)] in
        withExtendedLifetime(witness) { _ = ranOn.complete(threadName()) }
      }
      #expect(await ranOn.uncancellableValue() != Self.timers)
      #expect(await freedOn.uncancellableValue() != Self.timers)
      timer.cancel()
    }
  }

  @Test func `an action that is cancelled while it comes due is not released on the timers' thread`() async {
    for round in 0..<2000 {
      let freedOn = Promise<String>()
      let timer = DeadlineTimer(.after(.microseconds(round % 60))) { [witness = Witness(freedOn)] in _ = witness }
      if round.isMultiple(of: 3) { sched_yield() }
      timer.cancel()
      #expect(await freedOn.uncancellableValue() != Self.timers)
    }
  }

  @Test func `an object whose deinit blocks makes no other deadline late`() async {
    let gate = DispatchSemaphore(value: 0)
    let count = 8
    let isBeingFreed = (0..<count).map { _ in Promise<String>() }
    let timers = Locked<[DeadlineTimer]>([])
    for freedOn in isBeingFreed {
      // From a thread of its own, which releases the object last if the timer fires before it has been made.
      startThread {
        let timer = DeadlineTimer(.after(.milliseconds(1))) { [witness = Witness(freedOn, heldBy: gate)] in _ = witness
        }
        timers.withLock { $0.append(timer) }
      }
    }
    for freedOn in isBeingFreed { _ = await freedOn.uncancellableValue() }
    let fired = Promise<Void>()
    let other = DeadlineTimer(.after(.milliseconds(1))) { fired.complete(()) }
    await fired.uncancellableValue()
    for _ in 0..<count { gate.signal() }
    withExtendedLifetime(other) {}
  }

  @Test func `a task whose executor runs jobs inline, and blocks, makes no other deadline late`() async throws {
    let gate = DispatchSemaphore(value: 0)
    let executor = InlineExecutor()
    let isHeld = Promise<String>()
    let never = Promise<Void>()
    // From a thread of its own, which the task may hold if it is overtaken by its deadline.
    let task = Promise<Task<Void, Never>>()
    async let started: Void = onThread {
      let inline = Task(executorPreference: executor) {
        _ = await never.value(until: .after(.milliseconds(5)))
        isHeld.complete(threadName())
        block(gate)
      }
      task.complete(inline)
    }
    #expect(await isHeld.uncancellableValue() != Self.timers)
    guard case .timedOut = await never.value(until: .after(.milliseconds(1))) else {
      Issue.record("something else came")
      return
    }
    gate.signal()
    await task.uncancellableValue().value
    try await started
  }

  @Test func `deadlines that come together are all met`() async {
    let (fired, count, allFired) = (Tally(), 2000, Promise<Void>())
    let deadline = Deadline.after(.milliseconds(20))
    let timers = (0..<count).map { _ in
      DeadlineTimer(deadline) { if fired.add() == count { allFired.complete(()) } }
    }
    if case .timedOut = await allFired.value(until: .after(patience)) { Issue.record("\(fired.count) fired") }
    withExtendedLifetime(timers) {}
  }

  @Test func `a timer that is cancelled never runs, and one that ran can be cancelled`() async {
    let (ran, cancelled) = (Promise<Void>(), Tally())
    let never = DeadlineTimer(.after(.seconds(600))) { cancelled.add() }
    never.cancel()
    never.cancel()
    let timer = DeadlineTimer(.after(.zero)) { ran.complete(()) }
    await ran.uncancellableValue()
    timer.cancel()
    #expect(cancelled.count == 0)
  }
}

/// Runs each job where it is enqueued, as an application's executor may.
private final class InlineExecutor: TaskExecutor {
  func enqueue(_ job: consuming ExecutorJob) {
    UnownedJob(job).runSynchronously(on: asUnownedTaskExecutor())
  }
}

/// Blocks the calling thread, as an application's code may in a task.
private func block(_ gate: DispatchSemaphore) {
  gate.wait()
}
