import Dispatch
import Glibc
import Synchronization
import SidecarTestSupport
import Testing

@testable import SidecarExecutor

/// What a thread leaves when it ends, and who has to do what then.
@Suite(.census) struct `The end of a sidecar thread` {
  @Test func `what was enqueued before the stop runs on the thread, and what comes later on the fallback executor`()
    async throws
  {
    let thread = try SidecarThread()
    let gate = DispatchSemaphore(value: 0)
    let before = Promise<Bool>()
    let after = Promise<Bool>()
    thread.post {
      _ = gate.wait(timeout: .now() + 60)
      thread.post { before.complete(thread.loop.isRunning) }
      thread.requestStop()
    }
    gate.signal()
    #expect(await thread.joined(until: .after(patience)))
    thread.post { after.complete(thread.loop.isRunning) }
    #expect(await before.uncancellableValue())
    #expect(await after.uncancellableValue() == false)
  }

  @Test func `a loop that has ended holds no handler and no timer, and takes none`() async throws {
    let thread = try SidecarThread()
    let pipe = try Pipe()
    defer { pipe.close() }
    let (watching, timed, observing) = (Weak(), Weak(), Weak())
    try await onThread {
      try thread.postAndWait(until: .after(patience)) {
        let handler = Handler()
        watching.object = handler
        _ = try thread.loop.register(pipe.readEnd, interest: .readable, handler: handler)
        thread.loop.schedule(at: .after(.seconds(600)), timed.holding())
      }
    }
    #expect(watching.object != nil && timed.object != nil)
    thread.requestStop()
    #expect(await thread.joined(until: .after(patience)))
    #expect(watching.object == nil && timed.object == nil)
    // On the fallback executor.
    try await onThread {
      try thread.postAndWait(until: .after(patience)) {
        #expect(thread.loop.schedule(at: .after(.seconds(600)), timed.holding()) == nil)
        let observer = thread.loop.whenEnding { [action = observing.holding()] _ in action() }
        #expect(observer == nil)
        #expect(throws: SystemError("epoll_ctl", code: EBADF)) {
          _ = try thread.loop.register(pipe.readEnd, interest: .readable, handler: Handler())
        }
      }
    }
    // The fallback executor frees the closure after it has said that it ran.
    #expect(eventually { timed.object == nil && observing.object == nil })
  }

  @Test func `the fallback executor runs one job at a time`() async throws {
    let thread = try SidecarThread()
    #expect(await thread.shutdown())
    let (entered, isNotAlone) = (Promise<Void>(), Promise<Bool>())
    let other = DispatchSemaphore(value: 0)
    thread.post {
      entered.complete(())
      isNotAlone.complete(other.wait(timeout: .now() + .milliseconds(100)) == .success)
    }
    _ = await entered.uncancellableValue()
    thread.post { other.signal() }
    #expect(await isNotAlone.uncancellableValue() == false)
    #expect(try await onThread { try thread.postAndWait(until: .after(patience)) { true } })
  }

  @Test func `a loop that is about to sleep hears of what is posted at that very moment`() async throws {
    let thread = try SidecarThread()
    let ran = Atomic(0)
    let rounds = 50_000
    // Posts as soon as the last one has run, which is when the loop looks for more and goes to sleep.
    let heard = (1...rounds).allSatisfy { round in
      thread.post { ran.store(round, ordering: .releasing) }
      var deadline: Deadline?
      for spin in 0... {
        if ran.load(ordering: .acquiring) == round { return true }
        guard spin > 1000 else { continue }
        deadline = deadline ?? .after(.seconds(20))
        if deadline?.hasPassed == true { return false }
        sched_yield()
      }
      return false
    }
    #expect(heard, "round \(ran.load(ordering: .relaxed) + 1)")
    #expect(await thread.shutdown())
  }

  @Test func `what was ready for a descriptor is not told to the next one in its place`() async throws {
    let thread = try SidecarThread()
    let stale = Tally()
    let told = Promise<Void>()
    let pipes = try (0..<3).map { _ in try Pipe() }
    defer { for pipe in pipes { pipe.close() } }
    for pipe in pipes.prefix(2) { #expect(write(pipe.writeEnd, "x", 1) == 1) }
    try await onThread {
      try thread.postAndWait(until: .after(patience)) {
        // Both are ready in the same turn; the first one puts another descriptor in the other's place.
        let (first, second) = (Replacing(told, stale, pipes[2].readEnd), Replacing(told, stale, pipes[2].readEnd))
        (first.loop, second.loop) = (thread.loop, thread.loop)
        second.victim = try thread.loop.register(pipes[0].readEnd, interest: .readable, handler: first)
        first.victim = try thread.loop.register(pipes[1].readEnd, interest: .readable, handler: second)
      }
      _ = told.wait(until: .after(patience))
      try thread.postAndWait(until: .after(patience)) {}
    }
    #expect(stale.count == 0)
    #expect(await thread.shutdown())
  }

  @Test func `a registration that was taken back does not take back the next one in its place`() async throws {
    let thread = try SidecarThread()
    let pipe = try Pipe()
    defer { pipe.close() }
    try await onThread {
      try thread.postAndWait(until: .after(patience)) {
        let first = try thread.loop.register(pipe.readEnd, interest: .readable, handler: Handler())
        thread.loop.deregister(first)
        let second = try thread.loop.register(pipe.readEnd, interest: .readable, handler: Handler())
        thread.loop.deregister(first)
        #expect(thread.loop.registrationCount == 1)
        thread.loop.deregister(second)
        #expect(thread.loop.registrationCount == 0)
      }
    }
    #expect(await thread.shutdown())
  }

  @Test func `a handler that is freed at the end may use the loop`() async throws {
    let thread = try SidecarThread()
    let pipes = try (0..<2).map { _ in try Pipe() }
    defer { for pipe in pipes { pipe.close() } }
    let freed = Tally()
    try await onThread {
      try thread.postAndWait(until: .after(patience)) {
        let other = try thread.loop.register(pipes[0].readEnd, interest: .readable, handler: Handler())
        let handler = UsesLoopWhenFreed(thread.loop, other, freed)
        _ = try thread.loop.register(pipes[1].readEnd, interest: .readable, handler: handler)
      }
    }
    #expect(await thread.shutdown())
    #expect(freed.count == 1)
  }

  @Test func `a thread that can't be started leaves nothing`() async {
    // In a process of its own, whose memory is limited.
    await #expect(processExitsWith: .success) {
      // A sanitizer needs all that there is.
      if ProcessCensus.virtualBytes() > 1 << 40 { exit(0) }
      let before = ProcessCensus.take().descriptors
      var threads: [SidecarThread] = []
      threads.reserveCapacity(10_000)
      var failures = 0
      let wasLimited = ProcessCensus.withMemory(limitedTo: 256 << 20) {
        while failures < 20 {
          do throws(SystemError) {
            threads.append(try SidecarThread())
            if threads.count == 10_000 { exit(3) }
          } catch {
            guard error.call == "pthread_create" else { exit(4) }
            failures += 1
          }
        }
      }
      guard wasLimited else { exit(2) }
      guard LiveCounters.threads.value == threads.count else { exit(5) }
      // One for each thread that runs, and what the system may have opened for itself.
      guard ProcessCensus.take().descriptors < before + threads.count + failures else { exit(6) }
      exit(0)
    }
  }

  @Test func `a thread that is about to wake a loop that ends writes to the loop's descriptor or to none`() throws {
    let wake = try WakeSignal()
    let queue = JobQueue(wake: wake)
    queue.end()
    // The thread that signals holds it: it is not closed, and its number is not given to another file.
    #expect(fcntl(wake.descriptor, F_GETFD) != -1)
  }

  @Test func `dropping the last reference does not wait for a thread that is held`() async throws {
    let gate = DispatchSemaphore(value: 0)
    let ended = Promise<Void>()
    let hasReturned = Tally()
    try await onThread { () throws -> Void in
      let thread = try SidecarThread()
      thread.whenEnded { ended.complete(()) }
      thread.post {
        _ = gate.wait(timeout: .now() + 60)
        hasReturned.add()
      }
    }
    #expect(hasReturned.count == 0)
    gate.signal()
    if case .timedOut = await ended.value(until: .after(patience)) { Issue.record("the thread still runs") }
  }

  @Test func `a thread that is held is given up at the bound`() async throws {
    let thread = try SidecarThread()
    let gate = DispatchSemaphore(value: 0)
    thread.post { _ = gate.wait(timeout: .now() + 60) }
    #expect(await thread.shutdown(within: .milliseconds(20)) == false)
    gate.signal()
    #expect(await thread.shutdown())
  }

  @Test func `a task on the thread can end it`() async throws {
    let thread = try SidecarThread()
    let (hasEnded, isIsolated) = await Task(executorPreference: thread) {
      (await thread.shutdown(within: patience), thread.isCurrent)
    }.value
    #expect(hasEnded)
    #expect(isIsolated)
  }

  @Test func `a thread may not join itself`() async {
    await #expect(processExitsWith: .failure) {
      let thread = try SidecarThread()
      thread.post { _ = thread.join(until: .after(.seconds(1))) }
      _ = thread.join(until: .after(patience))
      exit(0)
    }
  }

  @Test func `no stack outlives its thread, however the thread was given up`() async {
    // In a process of its own: stacks are the process's.
    await #expect(processExitsWith: .success) {
      var kept: [SidecarThread] = []
      for way in 0..<4 {
        let before = ProcessCensus.threadStacks()
        for _ in 0..<40 {
          let thread = try SidecarThread()
          switch way {
          case 0:
            // Dropped.
            continue
          case 1:
            guard await thread.shutdown() else { exit(1) }
          case 2:
            // Abandoned while a caller waits for it and times out later.
            let gate = DispatchSemaphore(value: 0)
            thread.post { gate.wait() }
            async let hasEnded = onThread { thread.join(until: .after(.milliseconds(20))) }
            thread.requestStop()
            thread.abandon()
            guard try await !hasEnded else { exit(5) }
            gate.signal()
          default:
            // Abandoned.
            let gate = DispatchSemaphore(value: 0)
            thread.post { gate.wait() }
            _ = await thread.shutdown(within: .zero)
            gate.signal()
          }
          kept.append(thread)
        }
        // What was dropped or abandoned ends by itself.
        guard eventually({ LiveCounters.threads.value == 0 }) else { exit(2) }
        // The C library keeps a few for later.
        guard eventually({ ProcessCensus.threadStacks() < before + 20 }) else {
          exit(Int32(10 + way))
        }
      }
      exit(kept.count == 120 ? 0 : 3)
    }
  }
}

/// A pipe that nobody writes to.
struct Pipe: Sendable {
  let readEnd: Int32
  let writeEnd: Int32

  init() throws {
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { throw SystemError("pipe", code: errno) }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    (readEnd, writeEnd) = (ends[0], ends[1])
  }

  func close() {
    Glibc.close(readEnd)
    Glibc.close(writeEnd)
  }
}

private final class Handler: ReadinessHandler {
  func descriptorIsReady(_ readiness: Readiness) {}
}

/// Takes another registration back when it is freed.
private final class UsesLoopWhenFreed: ReadinessHandler {
  private let loop: EventLoop
  private let other: EventLoop.Registration
  private let freed: Tally

  init(_ loop: EventLoop, _ other: EventLoop.Registration, _ freed: Tally) {
    (self.loop, self.other, self.freed) = (loop, other, freed)
  }

  deinit {
    loop.deregister(other)
    freed.add()
  }

  func descriptorIsReady(_ readiness: Readiness) {}
}

/// Takes another descriptor's place away, and counts what is told to the one that gets it.
private final class Replacing: ReadinessHandler {
  private final class Counting: ReadinessHandler {
    let tally: Tally
    init(_ tally: Tally) { self.tally = tally }
    func descriptorIsReady(_ readiness: Readiness) { tally.add() }
  }

  private let told: Promise<Void>
  private let stale: Tally
  private let idle: Int32
  var loop: EventLoop?
  var victim: EventLoop.Registration?

  init(_ told: Promise<Void>, _ stale: Tally, _ idle: Int32) {
    (self.told, self.stale, self.idle) = (told, stale, idle)
  }

  func descriptorIsReady(_ readiness: Readiness) {
    guard let loop, let victim else { return }
    loop.deregister(victim)
    _ = try? loop.register(idle, interest: .readable, handler: Counting(stale))
    self.victim = nil
    told.complete(())
  }
}

/// Says whether something is still held.
private final class Weak: @unchecked Sendable {
  // Set on the thread before the test looks at it.
  weak var object: Handler?

  /// An action that holds an object.
  func holding() -> () -> Void {
    let object = Handler()
    self.object = object
    return { _ = object }
  }
}
