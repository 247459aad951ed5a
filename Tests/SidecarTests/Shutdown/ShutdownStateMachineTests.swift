import Testing

@testable import Sidecar

/// The table at the top of ShutdownStateMachine.swift, row by row.
@Suite struct `The lifecycle` {
  let start = MonotonicInstant.now

  func requested(bound: Duration = .seconds(4), hasTasks: Bool = false, ownsThread: Bool = true) -> ShutdownStateMachine
  {
    var life = ShutdownStateMachine(ownsThread: ownsThread)
    _ = life.handle(.shutdownRequested(bound: bound, hasTasks: hasTasks), at: start)
    return life
  }

  @Test func `a request stops new work and begins to close at once`() {
    var life = ShutdownStateMachine(ownsThread: true)
    let actions = life.handle(.shutdownRequested(bound: .seconds(4), hasTasks: false), at: start)
    #expect(actions.first == .stopAccepting)
    #expect(actions.contains(.close(deadline: start + .seconds(4))))
    #expect(life.state == .draining)
  }

  @Test func `only the first request counts`() {
    var life = requested()
    #expect(life.handle(.shutdownRequested(bound: .zero, hasTasks: true), at: start).isEmpty)
    #expect(life.state == .draining)
  }

  @Test func `a shutdown in order goes through every state`() {
    var life = requested(hasTasks: true)
    #expect(life.handle(.connectionEnded, at: start + .milliseconds(10)).contains(.cancelTasks))
    #expect(life.state == .cancelling)
    #expect(life.handle(.tasksEnded, at: start + .milliseconds(30)).contains(.stopThread))
    #expect(life.state == .joining)
    #expect(life.handle(.threadEnded, at: start + .milliseconds(35)) == [.publishReport])
    #expect(life.state == .ended)
    #expect(life.steps.map(\.name) == [.socket, .tasks, .thread])
    #expect(life.steps.map(\.outcome) == [.completed, .completed, .completed])
    #expect(life.steps.map(\.elapsed) == [.milliseconds(10), .milliseconds(20), .milliseconds(5)])
  }

  @Test func `without tasks the step is not needed, and the socket has the whole bound`() {
    var life = requested()
    #expect(life.handle(.tick, at: start + .milliseconds(3999)).contains(.abortConnection) == false)
    _ = life.handle(.connectionEnded, at: start + .milliseconds(3999))
    _ = life.handle(.tasksEnded, at: start + .milliseconds(3999))
    #expect(life.steps.map(\.outcome) == [.completed, .notNeeded])
  }

  @Test func `with tasks a part of the bound is kept for them`() {
    var life = requested(bound: .milliseconds(400), hasTasks: true)
    #expect(life.handle(.tick, at: start + .milliseconds(299)).contains(.abortConnection) == false)
    #expect(life.handle(.tick, at: start + .milliseconds(300)).contains(.abortConnection))
    #expect(life.state == .cancelling)
  }

  @Test func `a peer that does not answer is given up at the bound`() {
    var life = requested()
    let actions = life.handle(.tick, at: start + .seconds(4))
    #expect(actions.contains(.abortConnection) && actions.contains(.cancelTasks))
    #expect(life.steps.map(\.outcome) == [.timedOut])
  }

  @Test func `without tasks, none has timed out, whichever event comes first`() {
    var life = requested()
    _ = life.handle(.tick, at: start + .seconds(4))
    _ = life.handle(.tick, at: start + .seconds(4) + ShutdownStateMachine.grace)
    #expect(life.handle(.tasksEnded, at: start + .seconds(4) + ShutdownStateMachine.grace).isEmpty)
    #expect(life.steps.map(\.outcome) == [.timedOut, .notNeeded])
  }

  @Test func `a connection that gives up at its own deadline has timed out, whichever side notices first`() {
    var life = requested()
    let actions = life.handle(.connectionGivenUp, at: start + .seconds(4))
    #expect(actions.contains(.cancelTasks) && !actions.contains(.abortConnection))
    #expect(life.steps.map(\.outcome) == [.timedOut])
    _ = life.handle(.tasksEnded, at: start + .seconds(4))
    #expect(life.handle(.threadEnded, at: start + .seconds(4)) == [.publishReport])
  }

  @Test func `tasks that do not end are abandoned, and the thread stopped`() {
    var life = requested(hasTasks: true)
    _ = life.handle(.connectionEnded, at: start)
    #expect(!life.handle(.tick, at: start + .seconds(4)).contains(.abandonTasks))
    let actions = life.handle(.tick, at: start + .seconds(4) + ShutdownStateMachine.grace / 2)
    #expect(actions.contains(.abandonTasks) && actions.contains(.stopThread))
    #expect(life.state == .joining)
  }

  @Test func `a thread that does not end is abandoned shortly after the bound`() {
    var life = requested()
    _ = life.handle(.connectionEnded, at: start)
    _ = life.handle(.tasksEnded, at: start)
    #expect(life.handle(.tick, at: start + .seconds(4)).contains(.abandonThread) == false)
    #expect(
      life.handle(.tick, at: start + .seconds(4) + ShutdownStateMachine.grace) == [.abandonThread, .publishReport])
    #expect(life.steps.last?.outcome == .timedOut)
  }

  @Test func `a held thread is given up within the bound and the grace, whatever else is late`() {
    var life = requested(hasTasks: true)
    var now = start
    var rounds = 0
    // Obeys the machine's own wake-ups and nothing else.
    while life.state != .ended, rounds < 20 {
      for action in life.handle(.tick, at: now) {
        if case .wakeAt(let instant) = action { now = max(now, instant) }
      }
      if life.state == .draining { now = max(now, start + .milliseconds(3750)) }
      rounds += 1
    }
    #expect(life.state == .ended)
    #expect(now <= start + .seconds(4) + ShutdownStateMachine.grace)
    #expect(life.steps.map(\.outcome) == [.timedOut, .timedOut, .timedOut])
  }

  @Test func `a tick that comes early only says that the step is waiting`() {
    var life = requested()
    let actions = life.handle(.tick, at: start + .seconds(1))
    #expect(actions == [.wakeAt(start + .seconds(2)), .logWaiting(.socket, elapsed: .seconds(1))])
    #expect(life.state == .draining)
  }

  @Test func `a shared thread is not waited for, but the connection is`() {
    var life = requested(ownsThread: false)
    _ = life.handle(.tick, at: start + .seconds(4))
    let actions = life.handle(.tasksEnded, at: start + .seconds(4))
    #expect(!actions.contains(.publishReport))
    #expect(life.handle(.connectionEnded, at: start + .seconds(4)) == [.publishReport])
  }

  @Test func `a shutdown without any time still goes through every step`() {
    var life = requested(bound: .zero, hasTasks: true)
    #expect(life.handle(.tick, at: start).contains(.abortConnection))
    #expect(life.handle(.tick, at: start + ShutdownStateMachine.grace / 2).contains(.abandonTasks))
    #expect(life.handle(.connectionEnded, at: start).isEmpty)
    #expect(life.handle(.threadEnded, at: start) == [.publishReport])
  }

  @Test func `nothing happens after the end`() {
    var life = requested()
    _ = life.handle(.connectionEnded, at: start)
    _ = life.handle(.tasksEnded, at: start)
    _ = life.handle(.threadEnded, at: start)
    #expect(life.state == .ended)
    for event in [ShutdownStateMachine.Event.connectionEnded, .connectionGivenUp, .tasksEnded, .threadEnded, .tick] {
      #expect(life.handle(event, at: start + .seconds(60)).isEmpty)
    }
  }

  @Test func `a thread that has ended before its turn is not waited for`() {
    var life = requested()
    #expect(life.handle(.threadEnded, at: start).isEmpty)
    _ = life.handle(.connectionEnded, at: start)
    #expect(life.handle(.tasksEnded, at: start).last == .publishReport)
    #expect(life.state == .ended)
  }

  @Test func `a bound below zero is none`() {
    var life = ShutdownStateMachine(ownsThread: true)
    let actions = life.handle(.shutdownRequested(bound: .seconds(-60), hasTasks: true), at: start)
    #expect(actions.last == .close(deadline: start))
  }

  @Test func `what happened before the request is not asked for again`() {
    var life = ShutdownStateMachine(ownsThread: true)
    #expect(life.handle(.connectionEnded, at: start).isEmpty)
    #expect(life.isRunning)
    _ = life.handle(.shutdownRequested(bound: .seconds(4), hasTasks: false), at: start)
    #expect(life.handle(.connectionEnded, at: start).contains(.cancelTasks))
  }
}
