import CSidecarSystem
import Glibc
import SidecarTestSupport
import Testing

@testable import SidecarExecutor

@Suite(.census) struct `A poller` {
  /// What can't be copied can't be an argument of an expectation.
  private final class Watch {
    private var poller = Poller()

    func add(_ pipe: Pipe, _ interest: Readiness = .readable, token: UInt64) throws(SystemError) {
      try poller.add(pipe.readEnd, interest: interest, token: token)
    }

    func modify(_ pipe: Pipe, _ interest: Readiness, token: UInt64) throws(SystemError) {
      try poller.modify(pipe.readEnd, interest: interest, token: token)
    }

    func remove(_ pipe: Pipe) throws(SystemError) { try poller.remove(pipe.readEnd) }

    /// How many are ready now, or within some milliseconds.
    func wait(milliseconds: Int32 = 0) throws(SystemError) -> Int { try poller.wait(milliseconds: milliseconds) }

    func event(_ index: Int) -> Poller.Event { poller.event(index) }

    /// The tokens of the `count` that were ready, in order.
    func tokens(_ count: Int) -> [UInt64] { (0..<count).map { poller.event($0).token }.sorted() }

    /// The tokens of those that are ready now, in order.
    func ready() throws(SystemError) -> [UInt64] { tokens(try wait()) }
  }

  /// Runs `body` with `count` pipes that are watched for being readable, with tokens from 100 on.
  private func watching(_ count: Int, _ body: (Watch, [Pipe]) throws -> Void) throws {
    let pipes = try (0..<count).map { _ in try Pipe() }
    defer { for pipe in pipes { pipe.close() } }
    let watch = Watch()
    for (index, pipe) in pipes.enumerated() { try watch.add(pipe, token: UInt64(100 + index)) }
    try body(watch, pipes)
  }

  /// As few as `poll` is used for, and more.
  private static let counts = [1, 2, 3, 60]

  @Test(arguments: counts) func `reports what is ready, for as long as it is`(count: Int) throws {
    try watching(count) { watch, pipes in
      try #expect(watch.ready() == [])
      pipes[count - 1].write()
      for _ in 0..<2 {
        try #expect(watch.wait() == 1)
        #expect(watch.event(0) == (UInt64(99 + count), .readable))
      }
      for pipe in pipes { pipe.write() }
      try #expect(watch.ready() == (0..<count).map { UInt64(100 + $0) })
    }
  }

  @Test(arguments: counts) func `looks for what it was last told to`(count: Int) throws {
    try watching(count) { watch, pipes in
      for pipe in pipes { pipe.write() }
      for pipe in pipes { try watch.modify(pipe, [], token: 0) }
      try #expect(watch.ready() == [])
      try watch.modify(pipes[0], .readable, token: 300)
      try #expect(watch.ready() == [300])
      try watch.remove(pipes[0])
      try #expect(watch.ready() == [])
      try watch.add(pipes[0], token: 200)
      try #expect(watch.ready() == [200])
    }
  }

  @Test(arguments: counts) func `reports a peer that is gone even where nothing is looked for`(count: Int) throws {
    try watching(count) { watch, pipes in
      let pipe = try Pipe()
      defer { close(pipe.readEnd) }
      try watch.remove(pipes[0])
      try watch.add(pipe, [], token: 200)
      close(pipe.writeEnd)
      try #expect(watch.wait() == 1)
      #expect(watch.event(0) == (200, .hungUp))
    }
  }

  @Test func `reports a descriptor that is not open as one that failed`() async {
    // In a process of its own, where nobody else is given the number.
    await #expect(processExitsWith: .success) {
      let pipe = try Pipe()
      let watch = Watch()
      try watch.add(pipe, token: 100)
      pipe.close()
      try #expect(watch.wait() == 1)
      #expect(watch.event(0).token == 100)
      #expect(watch.event(0).readiness.contains(.failed))
    }
  }

  @Test(arguments: counts) func `waits until the time is over, or until something is ready`(count: Int) throws {
    try watching(count) { watch, pipes in
      let start = ContinuousClock.now
      try #expect(watch.wait(milliseconds: 20) == 0)
      #expect(ContinuousClock.now - start >= .milliseconds(20))
      pipes[0].write()
      try #expect(watch.wait(milliseconds: -1) == 1)
    }
  }

  @Test func `what it found stays, whatever is removed then`() throws {
    try watching(2) { watch, pipes in
      for pipe in pipes { pipe.write() }
      try #expect(watch.wait() == 2)
      try watch.remove(pipes[0])
      #expect(watch.tokens(2) == [100, 101])
      try #expect(watch.ready() == [101])
    }
  }

  @Test func `what it found stays, and is watched on, when there is suddenly one more`() throws {
    try watching(2) { watch, pipes in
      for pipe in pipes { pipe.write() }
      try #expect(watch.wait() == 2)
      let third = try Pipe()
      defer { third.close() }
      try watch.add(third, token: 200)
      #expect(watch.tokens(2) == [100, 101])
      third.write()
      try #expect(watch.ready() == [100, 101, 200])
    }
  }

  @Test func `where there is no descriptor for one more, those that there are are watched on`() async {
    // In a process of its own, which may open no others.
    await #expect(processExitsWith: .success) {
      let pipes = try (0..<3).map { _ in try Pipe() }
      let watch = Watch()
      for (index, pipe) in pipes[..<2].enumerated() { try watch.add(pipe, token: UInt64(100 + index)) }
      try ProcessCensus.withDescriptors(limitedTo: 2) {
        #expect(throws: SystemError("epoll_create1", code: EMFILE)) { try watch.add(pipes[2], token: 102) }
        for pipe in pipes { pipe.write() }
        try #expect(watch.ready() == [100, 101])
      }
    }
  }

  @Test func `a wait that the system refuses is an error, and the next one finds what is ready`() async {
    // In a process of its own, whose limit is lowered.
    await #expect(processExitsWith: .success) {
      let pipes = try (0..<2).map { _ in try Pipe() }
      let watch = Watch()
      for pipe in pipes { try watch.add(pipe, token: 100) }
      pipes[0].write()
      ProcessCensus.withDescriptors(limitedTo: 1) {
        #expect(throws: SystemError("poll", code: EINVAL)) { try watch.wait() }
      }
      try #expect(watch.wait() == 1)
    }
  }

  @Test func `the bits of readiness are those of the system`() {
    let bits: [(Readiness, EPOLL_EVENTS)] = [
      (.readable, EPOLLIN), (.writable, EPOLLOUT), (.peerEnded, EPOLLRDHUP), (.hungUp, EPOLLHUP), (.failed, EPOLLERR),
    ]
    for (readiness, event) in bits { #expect(readiness.rawValue == event.rawValue) }
  }
}

extension Pipe {
  /// Makes its other end readable.
  fileprivate func write() { _ = Glibc.write(writeEnd, "x", 1) }
}
