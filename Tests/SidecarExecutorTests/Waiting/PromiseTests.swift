import Dispatch
import SidecarExecutor
import SidecarTestSupport
import Testing

/// The one place in which everything waits.
@Suite struct `A completion` {
  @Test func `no waiting call is kept waiting by a closure that blocks`() async throws {
    for _ in 0..<8 {
      let completion = Promise<Int>()
      let gate = DispatchSemaphore(value: 0)
      let hasReturned = Tally()
      completion.whenComplete { _ in
        _ = gate.wait(timeout: .now() + 60)
        hasReturned.add()
      }
      let tasks = (0..<3).map { _ in Task.immediate { await completion.value() } }
      async let completed: Void = onThread { _ = completion.complete(1) }
      for task in tasks {
        if case .value(1) = await task.value { continue }
        Issue.record("something else came")
      }
      #expect(hasReturned.count == 0)
      gate.signal()
      try await completed
    }
  }

  @Test func `a task that was cancelled before it waits does not wait`() async {
    let task = Task {
      while !Task.isCancelled { await Task.yield() }
      return await Promise<Int>().value()
    }
    task.cancel()
    guard case .cancelled = await task.value else { return somethingElseCame() }
  }

  @Test func `no wait is missed by a deadline, a value or a cancellation that comes while it begins`() async throws {
    for round in 0..<3000 {
      let completion = Promise<Int>()
      switch round % 3 {
      case 0:
        guard case .timedOut = await completion.value(until: .after(.zero)) else {
          return somethingElseCame()
        }
      case 1:
        async let waited = completion.value()
        completion.complete(round)
        guard case .value(round) = await waited else { return somethingElseCame() }
      default:
        let task = Task { await completion.value() }
        if round.isMultiple(of: 2) { await Task.yield() }
        task.cancel()
        guard case .cancelled = await task.value else { return somethingElseCame() }
      }
      #expect(completion.waiterCount == 0)
    }
  }

  @Test func `the first value counts`() {
    let completion = Promise<Int>()
    #expect(completion.complete(1))
    #expect(!completion.complete(2))
    #expect(completion.current == 1)
  }

  @Test func `a thread that has given up is not among those that wait`() throws {
    let completion = Promise<Int>()
    #expect(completion.wait(until: .after(.milliseconds(1))) == nil)
    #expect(completion.waiterCount == 0)
  }

  @Test func `a timer that is cancelled lets go of its action`() {
    final class Captured: Sendable {}
    weak var captured: Captured?
    let timer: DeadlineTimer
    do {
      let object = Captured()
      captured = object
      timer = DeadlineTimer(.after(.seconds(600))) { _ = object }
    }
    #expect(captured != nil)
    timer.cancel()
    #expect(captured == nil)
  }

  @Test func `a wait that has ended leaves no timer`() async {
    weak var waitedFor: Promise<Int>?
    do {
      let completion = Promise<Int>()
      waitedFor = completion
      async let waited = completion.value(until: .after(.seconds(600)))
      // Nothing announces that a wait has begun.
      #expect(await eventually { () async in completion.waiterCount == 1 })
      completion.complete(1)
      guard case .value(1) = await waited else { return somethingElseCame() }
    }
    // The task that waited frees it when it has ended.
    #expect(await eventually { () async in waitedFor == nil })
  }

  @Test func `a timer that is dropped lets go of its action`() {
    final class Captured: Sendable {}
    weak var captured: Captured?
    do {
      let object = Captured()
      captured = object
      let timer = DeadlineTimer(.after(.seconds(600))) { _ = object }
      withExtendedLifetime(timer) { #expect(captured != nil) }
    }
    #expect(captured == nil)
  }

  @Test func `times that are too long to count are clamped`() {
    #expect(Duration.seconds(Int64.max).wholeNanoseconds == .max)
    #expect(Duration.seconds(Int64.min).wholeNanoseconds == .min)
    #expect(Duration.seconds(Int64.max).pollMilliseconds == .max)
    #expect(Duration.nanoseconds(1_000_001).pollMilliseconds == 2)
  }
}

private func somethingElseCame(sourceLocation: SourceLocation = #_sourceLocation) {
  Issue.record("something else came", sourceLocation: sourceLocation)
}
