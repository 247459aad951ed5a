import Glibc
import SidecarTestSupport
import Testing

@testable import SidecarExecutor

/// What follows when the system refuses something. Each in a process of its own, because a fault hits all of its
/// threads.
@Suite struct `When the system refuses` {
  @Test func `to poll for a moment, a loop goes on`() async {
    await #expect(processExitsWith: .success) {
      for descriptors in [0, 1, 5] {
        let thread = try SidecarThread()
        let pipes = try watch(descriptors, on: thread)
        for code in [ENOMEM, EAGAIN, ENOBUFS, EINTR] {
          failNext(3, .poll, code)
          try #expect(thread.postAndWait(until: .after(patience)) { thread.loop.failure } == nil)
          let fired = Promise<Void>()
          thread.post { thread.loop.schedule(at: .after(.milliseconds(1))) { fired.complete(()) } }
          #expect(fired.wait(until: .after(patience)) != nil)
        }
        thread.requestStop()
        #expect(thread.join(until: .after(patience)))
        for pipe in pipes { pipe.close() }
      }
    }
  }

  @Test func `to poll for good, the loop tells its observers why, and ends`() async {
    await #expect(processExitsWith: .success) {
      for (descriptors, call) in [(1, "poll"), (5, "epoll_wait")] {
        let thread = try SidecarThread()
        let pipes = try watch(descriptors, on: thread)
        let told = Promise<SystemError?>()
        try thread.postAndWait(until: .after(patience)) {
          _ = thread.loop.whenEnding { told.complete($0) }
        }
        FaultInjection.inject(.poll) { EBADF }
        thread.post {}
        #expect(told.wait(until: .after(patience)) == SystemError(call, code: EBADF))
        #expect(thread.join(until: .after(patience)))
        FaultInjection.inject(.poll, nil)
        // Late jobs run, and nothing can be registered any more.
        let error = try thread.postAndWait(until: .after(patience)) {
          do throws(SystemError) {
            _ = try thread.loop.register(pipes[0].readEnd, interest: .readable, handler: Ignoring())
            return SystemError?.none
          } catch {
            return error
          }
        }
        #expect(error == SystemError(call, code: EBADF))
        for pipe in pipes { pipe.close() }
      }
    }
  }

  @Test func `to wake a loop for a while, what was posted runs nevertheless`() async {
    await #expect(processExitsWith: .success) {
      let thread = try SidecarThread()
      for code in [EINTR, ENOBUFS, ENOMEM] {
        for count in [1, 3] {
          // The loop sleeps, or is about to: both have to work.
          failNext(count, .wake, code)
          try thread.postAndWait(until: .after(patience)) {}
        }
      }
      failNext(3, .wake, ENOBUFS)
      thread.requestStop()
      #expect(thread.join(until: .after(patience)))
    }
  }

  @Test func `to take a wake-up back, the loop goes on`() async {
    await #expect(processExitsWith: .success) {
      let thread = try SidecarThread()
      for code in [EINTR, ENOMEM] {
        failNext(2, .clearWake, code)
        for _ in 0..<5 { try thread.postAndWait(until: .after(patience)) {} }
      }
      thread.requestStop()
      #expect(thread.join(until: .after(patience)))
    }
  }

  @Test func `to start the first threads, the error says so, and nothing is left`() async {
    await #expect(processExitsWith: .success) {
      let descriptors = ProcessCensus.take().descriptors
      let repetitions = 20
      // First none, then one each time, which are the two workers and the timers' thread, and then never the thread
      // itself.
      let allowances = Array(repeating: 0, count: repetitions) + [1, 1, 1] + Array(repeating: 0, count: repetitions)
      for allowed in allowances {
        let asked = Tally()
        FaultInjection.inject(.startThread) { asked.add() > allowed ? EAGAIN : nil }
        #expect(throws: SystemError("pthread_create", code: EAGAIN)) { _ = try SidecarThread() }
        #expect(LiveCounters.threads.value == 0)
      }
      // The runtime may have opened some meanwhile, once and for all: a leak is one each time.
      #expect(ProcessCensus.take().descriptors < descriptors + repetitions)
      FaultInjection.inject(.startThread, nil)
      let thread = try SidecarThread()
      try thread.postAndWait(until: .after(patience)) {}
      thread.requestStop()
      #expect(thread.join(until: .after(patience)))
    }
  }

  @Test func `more threads, deadlines are met, late jobs run, and a held thread is given up in time`() async {
    await #expect(processExitsWith: .success) {
      let thread = try SidecarThread()
      let ended = try SidecarThread()
      ended.requestStop()
      #expect(ended.join(until: .after(patience)))
      FaultInjection.inject(.startThread) { EAGAIN }

      // The first deadline of the process.
      let fired = Promise<Void>()
      let timer = DeadlineTimer(.after(.milliseconds(1))) { fired.complete(()) }
      #expect(fired.wait(until: .after(patience)) != nil)
      timer.cancel()
      try ended.postAndWait(until: .after(patience)) {}

      // Work that blocks for good, as the application's may: deadlines do not wait for it.
      BlockingWorkQueue.run { while true { pause() } }
      thread.post { while true { pause() } }
      let begin = MonotonicInstant.now
      #expect(await thread.shutdown(within: .milliseconds(50)) == false)
      #expect(begin.duration(to: .now) < patience / 2)
    }
  }

  @Test func `more threads, handing in work does not block, and the work runs when there is one again`() async {
    await #expect(processExitsWith: .success) {
      let thread = try SidecarThread()
      FaultInjection.inject(.startThread) { EAGAIN }
      let isHeld = Promise<Void>()
      BlockingWorkQueue.run {
        isHeld.complete(())
        while true { pause() }
      }
      #expect(isHeld.wait(until: .after(patience)) != nil)
      let ran = Promise<Void>()
      let begin = MonotonicInstant.now
      BlockingWorkQueue.run { ran.complete(()) }
      #expect(begin.duration(to: .now) < .seconds(1))
      #expect(ran.wait(until: .after(.milliseconds(50))) == nil)
      FaultInjection.inject(.startThread, nil)
      // Nobody hands anything in: the timers' thread keeps asking.
      #expect(ran.wait(until: .after(patience)) != nil)
      withExtendedLifetime(thread) {}
      // Without LeakSanitizer: the worker that is blocked keeps its memory.
      _exit(0)
    }
  }

  @Test func `a thread for a queue that has none, the queue says so`() async {
    await #expect(processExitsWith: .success) {
      let queue = BlockingWorkQueue(name: "test", maximumThreads: 3)
      let ran = Tally()
      FaultInjection.inject(.startThread) { EAGAIN }
      #expect(throws: SystemError("pthread_create", code: EAGAIN)) { try queue.run { ran.add() } }
      FaultInjection.inject(.startThread, nil)
      let isDone = Promise<Void>()
      try queue.run { isDone.complete(()) }
      #expect(isDone.wait(until: .after(patience)) != nil)
      #expect(ran.count == 0)
    }
  }
}

/// Makes the next `count` calls fail, on every thread.
private func failNext(_ count: Int, _ call: FaultInjection.Call, _ code: Int32) {
  let failed = Tally()
  FaultInjection.inject(call) { failed.add() <= count ? code : nil }
}

/// Has a thread watch `count` pipes that stay empty.
private func watch(_ count: Int, on thread: SidecarThread) throws -> [Pipe] {
  let pipes = try (0..<count).map { _ in try Pipe() }
  try thread.postAndWait(until: .after(patience)) {
    for pipe in pipes { _ = try thread.loop.register(pipe.readEnd, interest: .readable, handler: Ignoring()) }
  }
  return pipes
}

private final class Ignoring: ReadinessHandler {
  func descriptorIsReady(_ readiness: Readiness) {}
}
