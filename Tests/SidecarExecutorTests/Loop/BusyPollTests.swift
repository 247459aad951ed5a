import Glibc
import SidecarTestSupport
import Testing

@testable import SidecarExecutor

@Suite(.census) struct `A loop that expects an answer` {
  /// What can't be copied can't be an argument of an expectation.
  private final class Decision {
    private let busyPoll = BusyPoll()
    func request() -> Bool { busyPoll.request() }
    func begin() -> Bool { busyPoll.begin() }
    func end(found: Bool) { busyPoll.end(found: found) }

    /// How many of `count` requests are worthwhile.
    func requests(_ count: Int) -> Int { (0..<count).count { _ in busyPoll.request() } }
  }

  // The loop counts a miss when it has given up, which nothing announces: tests wait for the count.

  /// Empties a pipe.
  private final class Handler: ReadinessHandler {
    private let readEnd: Int32
    init(_ readEnd: Int32) { self.readEnd = readEnd }

    func descriptorIsReady(_ readiness: Readiness) {
      var byte: UInt8 = 0
      _ = read(readEnd, &byte, 1)
    }
  }

  /// A thread with a descriptor that can be watched, and a pipe's end to write to it.
  private func withThread(_ body: (SidecarThread, Int32) async throws -> Void) async throws {
    let pipe = try Pipe()
    defer { pipe.close() }
    let thread = try SidecarThread()
    try await onThread {
      try thread.postAndWait(until: .after(patience)) {
        _ = try thread.loop.register(pipe.readEnd, interest: .readable, handler: Handler(pipe.readEnd))
      }
    }
    try await body(thread, pipe.writeEnd)
    #expect(await thread.shutdown())
  }

  @Test func `watches once for each time that it is asked to`() {
    let busyPoll = Decision()
    #expect(!busyPoll.begin())
    #expect(busyPoll.request())
    #expect(busyPoll.request())
    #expect(busyPoll.begin())
    #expect(!busyPoll.begin())
  }

  @Test func `hardly watches any more where that is in vain, and as before when it no longer is`() {
    let busyPoll = Decision()
    for _ in 0..<SpinBackoff.toleratedMisses {
      #expect(busyPoll.request())
      busyPoll.end(found: false)
    }
    let tries = 10 * Int(SpinBackoff.opportunitiesPerAttempt)
    #expect(busyPoll.requests(tries) == 10)
    busyPoll.end(found: false)
    #expect(busyPoll.requests(tries) == 10)
    busyPoll.end(found: true)
    #expect(busyPoll.requests(tries) == tries)
  }

  @Test func `is woken for it, watches, and then sleeps`() async throws {
    try await withThread { thread, _ in
      for count in 1...Int(SpinBackoff.toleratedMisses) {
        thread.expectAnswer()
        #expect(eventually { thread.busyPollMissCount == count })
      }
    }
  }

  @Test func `sleeps at once where there is nothing to watch`() async throws {
    let thread = try SidecarThread()
    thread.expectAnswer()
    // After two turns of the loop, of which the first would have watched.
    for _ in 0..<2 {
      try await onThread { try thread.postAndWait(until: .after(patience)) {} }
    }
    #expect(thread.busyPollMissCount == 0)
    #expect(await thread.shutdown())
  }

  @Test func `starts afresh when it finds something`() async throws {
    try await withThread { thread, writeEnd in
      thread.expectAnswer()
      #expect(eventually { thread.busyPollMissCount == 1 })
      try await onThread {
        try thread.postAndWait(until: .after(patience)) {
          // Ready when the loop looks: the job that says so is the last thing before it would sleep.
          _ = write(writeEnd, "x", 1)
          thread.loop.expectAnswer()
        }
      }
      #expect(eventually { thread.busyPollMissCount == 0 })
    }
  }

  @Test func `sleeps at once, and does everything else, where busy-polling is turned off`() async {
    // In a process of its own: it is turned off for all of it.
    await #expect(processExitsWith: .success) {
      SpinBackoff.isEnabled = false
      let pipe = try Pipe()
      let thread = try SidecarThread()
      try thread.postAndWait(until: .after(patience)) {
        _ = try thread.loop.register(pipe.readEnd, interest: .readable, handler: Handler(pipe.readEnd))
      }
      for _ in 0..<100 {
        thread.expectAnswer()
        try #expect(thread.postAndWait(until: .after(patience)) { true })
      }
      #expect(thread.busyPollMissCount == 0)
      thread.requestStop()
      #expect(thread.join(until: .after(patience)))
    }
  }

  @Test func `a closure that is posted while it watches is run`() async throws {
    try await withThread { thread, _ in
      for _ in 0..<100 {
        thread.expectAnswer()
        try await onThread { try thread.postAndWait(until: .after(patience)) {} }
      }
    }
  }
}
