import Glibc
import TestSupport
import Testing

@testable import SidecarExecutor

@Suite struct `A loop that has read much` {
  /// Looks until the loop would sleep; returns how often.
  func look(_ eagerness: inout Eagerness, findingAt turn: Int? = nil) -> Int {
    var turns = 0
    while eagerness.takeTurn() {
      if turns == turn { eagerness.found() }
      turns += 1
    }
    return turns
  }

  @Test func `a loop that has read nothing sleeps at once`() {
    var eagerness = Eagerness()
    #expect(look(&eagerness) == 0)
  }

  @Test func `after much was read the loop looks for a moment, and then sleeps`() {
    var eagerness = Eagerness()
    eagerness.expectMore()
    #expect(look(&eagerness) == Eagerness.turnsPerLook)
    #expect(look(&eagerness) == 0)
  }

  @Test func `what is read while the loop looks makes it look as long again`() {
    var eagerness = Eagerness()
    eagerness.expectMore()
    for _ in 1..<Eagerness.turnsPerLook { _ = eagerness.takeTurn() }
    eagerness.expectMore()
    #expect(look(&eagerness) == Eagerness.turnsPerLook)
  }

  @Test func `looking in vain is hardly tried any more`() {
    var eagerness = Eagerness()
    for _ in 0..<Eagerness.toleratedMisses {
      eagerness.expectMore()
      #expect(look(&eagerness) > 0)
    }
    var looked = 0
    for _ in 0..<(10 * Eagerness.occasionsPerLook) {
      eagerness.expectMore()
      if look(&eagerness) > 0 { looked += 1 }
    }
    #expect((1...10).contains(looked))
  }

  @Test func `finding something makes it worth while again`() {
    var eagerness = Eagerness()
    for round in 0..<100 {
      eagerness.expectMore()
      #expect(look(&eagerness, findingAt: 10) == Eagerness.turnsPerLook, "round \(round)")
    }
  }

  @Test func `a thread that always finds something ends when it is told to`() async throws {
    let thread = try SidecarThread()
    var pipe: [Int32] = [0, 0]
    try #require(Glibc.pipe(&pipe) == 0)
    let (reader, writer) = (pipe[0], pipe[1])
    let looked = Completion<Void>()
    thread.post {
      let loop = thread.loop
      // Writable, and never written to.
      _ = try? loop.register(writer, interest: .writable, handler: NeverEnough(loop, looked))
    }
    _ = await looked.value(until: .after(patience))
    let hasEnded = await thread.shutdown(within: patience)
    #expect(hasEnded)
    close(reader)
    close(writer)
  }
}

/// Expects more whenever it is told of something.
private final class NeverEnough: ReadinessHandler {
  private unowned let loop: EventLoop
  private let looked: Completion<Void>
  private var times = 0

  init(_ loop: EventLoop, _ looked: Completion<Void>) {
    (self.loop, self.looked) = (loop, looked)
  }

  func descriptorIsReady(_ readiness: Readiness) {
    loop.expectMore()
    times += 1
    if times == 100 { looked.complete(()) }
  }
}
