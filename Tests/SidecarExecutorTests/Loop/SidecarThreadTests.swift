import Dispatch
import Glibc
import SidecarExecutor
import Synchronization
import SidecarTestSupport
import Testing

/// An actor pinned to a sidecar thread.
private actor Pinned {
  nonisolated let thread: SidecarThread
  private(set) var log: [Int] = []

  init(_ thread: SidecarThread) { self.thread = thread }

  nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

  func append(_ value: Int) { log.append(value) }

  func isOnThread() -> Bool { thread.isCurrent }

  /// Suspends in the middle, so that it needs the executor a second time.
  func hop(through body: @Sendable () async -> Void) async -> Bool {
    let before = thread.isCurrent
    await body()
    return before && thread.isCurrent
  }
}

@Suite(.census) struct `Sidecar thread` {
  @Test func `an actor pinned to the thread runs there and nowhere else`() async throws {
    let thread = try SidecarThread()
    let actor = Pinned(thread)
    #expect(await actor.isOnThread())
    #expect(!thread.isCurrent)
    #expect(thread.isIsolatingCurrentContext() == false)
    #expect(await actor.hop { await Task.yield() })
    thread.requestStop()
    #expect(await thread.joined(until: .after(patience)))
  }

  @Test func `jobs run in the order they came, whatever their priority`() async throws {
    let thread = try SidecarThread()
    let log = Log()
    let done = Promise<Void>()
    // The thread is held until everything is enqueued.
    let gate = DispatchSemaphore(value: 0)
    thread.post { gate.wait() }
    for index in 0..<200 {
      if index.isMultiple(of: 2) {
        thread.post { log.append(index) }
      } else {
        Task.immediate(priority: index.isMultiple(of: 3) ? .high : .background) {
          await Pinned(thread).run { log.append(index) }
        }
      }
    }
    thread.post { done.complete(()) }
    gate.signal()
    _ = await done.value(until: .after(patience))
    #expect(log.entries == Array(0..<200))
    thread.requestStop()
    #expect(await thread.joined(until: .after(patience)))
  }

  @Test func `a task that prefers the thread runs on it from end to end`() async throws {
    let thread = try SidecarThread()
    let stayed = await Task(executorPreference: thread) {
      var stayed = thread.isCurrent
      for _ in 0..<10 {
        await Task.yield()
        stayed = stayed && thread.isCurrent
        await nonisolatedWork()
        stayed = stayed && thread.isCurrent
      }
      return stayed
    }.value
    #expect(stayed)
    thread.requestStop()
    #expect(await thread.joined(until: .after(patience)))
  }

  @Test func `a posted closure may assume the isolation of an actor that is pinned there`() async throws {
    let thread = try SidecarThread()
    let actor = Pinned(thread)
    let count = try thread.postAndWait(until: .after(patience)) {
      actor.assumeIsolated { actor in
        actor.append(1)
        return actor.log.count
      }
    }
    #expect(count == 1)
    thread.requestStop()
    #expect(thread.join(until: .after(patience)))
  }

  @Test func `a blocking call from a sidecar's own thread throws instead of deadlocking`() async throws {
    let thread = try SidecarThread()
    let other = try SidecarThread()
    for target in [thread, other] {
      #expect(throws: BlockingBridgeError.onSidecarThread) {
        try thread.postAndWait(until: .after(patience)) {
          try target.postAndWait(until: .never) {}
        }
      }
    }
    thread.requestStop()
    other.requestStop()
    #expect(thread.join(until: .after(patience)))
    #expect(other.join(until: .after(patience)))
  }

  @Test func `a blocking call gives up at its deadline when the thread is held`() throws {
    let thread = try SidecarThread()
    let gate = DispatchSemaphore(value: 0)
    thread.post { gate.wait() }
    let start = ContinuousClock.now
    #expect(throws: BlockingBridgeError.timedOut) {
      try thread.postAndWait(until: .after(.milliseconds(30))) {}
    }
    #expect(ContinuousClock.now - start >= .milliseconds(30))
    #expect(!thread.join(until: .after(.milliseconds(10))))
    gate.signal()
    thread.requestStop()
    #expect(thread.join(until: .after(patience)))
  }

  @Test func `timers fire on the thread, in order and not early`() async throws {
    let thread = try SidecarThread()
    let fired = Promise<[Int]>()
    let start = ContinuousClock.now
    thread.post {
      var log: [Int] = []
      let loop = thread.loop
      for delay in [30, 10, 20] {
        loop.schedule(at: .after(.milliseconds(delay))) {
          log.append(delay)
          if log.count == 3 { fired.complete(log) }
        }
      }
      loop.cancel(loop.schedule(at: .after(.milliseconds(5))) { log.append(5) })
    }
    guard case .value(let log) = await fired.value(until: .after(patience)) else {
      Issue.record("the timers did not fire")
      return
    }
    #expect(log == [10, 20, 30])
    #expect(ContinuousClock.now - start >= .milliseconds(30))
    thread.requestStop()
    #expect(await thread.joined(until: .after(patience)))
  }

  @Test func `a flood of jobs does not keep timers and descriptors waiting`() async throws {
    let thread = try SidecarThread()
    let fired = Promise<Void>()
    let flooding = Atomic(true)
    @Sendable func flood() {
      if flooding.load(ordering: .relaxed) { thread.post(flood) }
    }
    thread.post {
      flood()
      thread.loop.schedule(at: .after(.milliseconds(5))) { fired.complete(()) }
    }
    if case .timedOut = await fired.value(until: .after(patience)) { Issue.record("the timer starved") }
    flooding.store(false, ordering: .relaxed)
    thread.requestStop()
    #expect(await thread.joined(until: .after(patience)))
  }

  @Test func `timers that are over as soon as they are set do not keep jobs waiting`() async throws {
    let thread = try SidecarThread()
    let ran = Promise<Duration>()
    let past = Deadline(.now)
    @Sendable func again() {
      // Gives up by itself, so that a failure does not hold the thread for good.
      if ran.current == nil, (past.instant ?? .now).duration(to: .now) < patience / 2 {
        thread.loop.schedule(at: past) { again() }
      }
    }
    thread.post {
      // Measured on the thread: this task may wait long for the cooperative thread pool, where other tests compute.
      let begin = ContinuousClock.now
      again()
      thread.post { ran.complete(ContinuousClock.now - begin) }
    }
    #expect(await ran.uncancellableValue() < patience / 2)
    #expect(await thread.shutdown())
  }

  @Test func `a loop that was woken goes back to sleep`() async throws {
    let thread = try SidecarThread()
    let path = try await onThread {
      try thread.postAndWait(until: .after(patience)) {
        var name = [CChar](repeating: 0, count: 64)
        _ = readlink("/proc/thread-self", &name, name.count - 1)
        return "/proc/" + String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
          + "/stat"
      }
    }
    // Only the kernel knows that a thread sleeps.
    #expect(
      await eventually(within: .seconds(20)) { () async in
        guard let file = fopen(path, "r") else { return false }
        defer { fclose(file) }
        var text = [CChar](repeating: 0, count: 256)
        fgets(&text, 256, file)
        // The state follows the name.
        return String(decoding: text.map(UInt8.init(bitPattern:)), as: UTF8.self).contains(") S ")
      })
    #expect(await thread.shutdown())
  }

  @Test func `jobs that come after the thread's end still run, isolated and in order`() async throws {
    let thread = try SidecarThread()
    let actor = Pinned(thread)
    thread.requestStop()
    #expect(await thread.joined(until: .after(patience)))
    #expect(await actor.isOnThread())
    #expect(await actor.hop { await Task.yield() })
    for value in 0..<100 { await actor.append(value) }
    #expect(await actor.log == Array(0..<100))
    #expect(await Task(executorPreference: thread) { thread.isCurrent }.value)
    #expect(try thread.postAndWait(until: .after(patience)) { 7 } == 7)
  }

  @Test func `no job is lost in the race with the thread's end`() async throws {
    for round in 0..<500 {
      let thread = try SidecarThread()
      let actor = Pinned(thread)
      let count = 8
      await withTaskGroup(of: Void.self) { group in
        for value in 0..<count {
          group.addTask { await actor.append(value) }
        }
        group.addTask {
          if round.isMultiple(of: 2) { await Task.yield() }
          thread.requestStop()
        }
      }
      #expect(await actor.log.count == count)
      #expect(await thread.joined(until: .after(patience)))
    }
  }

  @Test func `dropping the last reference ends the thread, also from the thread itself`() async throws {
    for dropsOnThread in [false, true] {
      weak var dropped: SidecarThread?
      let ended = Promise<Void>()
      do {
        let thread = try SidecarThread(name: "dropped")
        dropped = thread
        thread.whenEnded { ended.complete(()) }
        if dropsOnThread {
          let gate = DispatchSemaphore(value: 0)
          thread.post {
            gate.wait()
            _ = thread.isCurrent
          }
          gate.signal()
        }
      }
      if case .timedOut = await ended.value(until: .after(patience)) { Issue.record("the thread still runs") }
      // The reference that was dropped last may be on its way out on the thread that announced the end.
      #expect(eventually { dropped == nil })
    }
  }

  @Test func `a thousand threads started and joined leave no thread and no descriptor`() throws {
    // Warm up what the process keeps for ever.
    do {
      let thread = try SidecarThread()
      thread.requestStop()
      #expect(thread.join(until: .after(patience)))
    }
    let before = ProcessCensus.take()
    for _ in 0..<1000 {
      let thread = try SidecarThread()
      try thread.postAndWait(until: .after(patience)) {}
      thread.requestStop()
      #expect(thread.join(until: .after(patience)))
    }
    // Other tests run beside this one: what they hold comes and goes, a leak of a thousand stays.
    #expect(eventually { ProcessCensus.take().descriptors < before.descriptors + 100 })
    #expect(eventually { ProcessCensus.take().threads < before.threads + 100 })
  }
}

extension Pinned {
  func run(_ body: @Sendable () -> Void) { body() }
}

private nonisolated func nonisolatedWork() async {
  await Task.yield()
}

/// Numbers in the order in which they came, from any thread.
private final class Log: Sendable {
  private let numbers = Locked<[Int]>([])

  var entries: [Int] { numbers.withLock { $0 } }

  func append(_ number: Int) { numbers.withLock { $0.append(number) } }
}
