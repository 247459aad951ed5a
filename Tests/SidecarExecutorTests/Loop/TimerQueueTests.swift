import SidecarExecutor
import Testing

@Suite struct `Timer queue` {
  let start = MonotonicInstant.now

  @Test func `timers come out by time, and by order of scheduling when equal`() {
    var queue = TimerQueue()
    var log: [Int] = []
    for (index, delay) in [5, 1, 3, 1, 4, 1].enumerated() {
      _ = queue.schedule(at: start + .seconds(delay)) { log.append(index) }
    }
    while let action = queue.popDue(at: start + .seconds(10)) { action() }
    #expect(log == [1, 3, 5, 2, 4, 0])
  }

  @Test func `a timer is not due before its time`() {
    var queue = TimerQueue()
    _ = queue.schedule(at: start + .seconds(1)) {}
    #expect(queue.popDue(at: start) == nil)
    #expect(queue.nextDue() == start + .seconds(1))
    #expect(queue.popDue(at: start + .seconds(1)) != nil)
    #expect(queue.nextDue() == nil)
  }

  @Test func `a cancelled timer never runs and lets go of what it captured`() {
    final class Captured {}
    var queue = TimerQueue()
    weak var captured: Captured?
    let timer: TimerID
    do {
      let object = Captured()
      captured = object
      timer = queue.schedule(at: start) { _ = object }
    }
    #expect(captured != nil)
    queue.cancel(timer)
    #expect(captured == nil)
    #expect(queue.nextDue() == nil)
    queue.cancel(timer)
  }

  @Test func `a timer of a queue that is gone is left alone`() {
    var old = TimerQueue()
    _ = old.schedule(at: start) {}
    let timer = old.schedule(at: start) {}
    var queue = TimerQueue()
    #expect(queue.cancel(timer) == nil)
    _ = queue.schedule(at: start) {}
    #expect(queue.cancel(timer) == nil)
    #expect(queue.count == 1)
  }

  @Test func `ten thousand timers, half of them cancelled, stay in order`() {
    var queue = TimerQueue()
    var generator = SystemRandomNumberGenerator()
    var due: [Int] = []
    for round in 0..<10_000 {
      let delay = Int.random(in: 0..<1000, using: &generator)
      let timer = queue.schedule(at: start + .milliseconds(delay)) { due.append(delay) }
      if round.isMultiple(of: 2) { queue.cancel(timer) }
    }
    #expect(queue.count == 5000)
    while let action = queue.popDue(at: start + .seconds(2)) { action() }
    #expect(due.count == 5000)
    #expect(due == due.sorted())
  }
}
