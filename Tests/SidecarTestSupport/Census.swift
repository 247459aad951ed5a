import SidecarExecutor
public import Testing

extension Trait where Self == CensusTrait {
  /// After each test of the suite, nothing of this library may be left alive.
  ///
  /// The tests may run beside each other: the counters are compared whenever none is running.
  public static var census: CensusTrait { CensusTrait(isAlone: false) }

  /// The same, and each test runs while no other with a census does: what the kernel counts for the process, threads
  /// and descriptors, can then be compared exactly.
  public static var aloneWithCensus: CensusTrait { CensusTrait(isAlone: true) }
}

/// Asserts that a test leaves nothing alive.
public struct CensusTrait: SuiteTrait, TestTrait, TestScoping {
  let isAlone: Bool

  /// The trait holds for every test of the suite.
  public var isRecursive: Bool { true }

  /// Runs the test, and counts what is left when no other is running.
  @concurrent public func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
  ) async throws {
    guard testCase != nil else { return try await function() }
    await Gate.shared.enter(alone: isAlone)
    let failure: (any Error)?
    do {
      // Tests that compute hold the pool's threads, and these tests assert times.
      try await offThePool { try await function() }
      failure = nil
    } catch {
      failure = error
    }
    if await Gate.shared.finishAndClose() {
      let counters = [
        ("sidecars", LiveCounters.sidecars), ("threads", LiveCounters.threads),
        ("connections", LiveCounters.connections), ("tasks", LiveCounters.tasks),
      ]
      for (name, counter) in counters {
        // What was dropped without a shutdown ends by itself, a moment later.
        let isGone = await eventually { () async in counter.value == 0 }
        #expect(isGone, "\(counter.value) \(name) left alive after \"\(test.name)\"")
      }
    }
    await Gate.shared.leave()
    if let failure { throw failure }
  }
}

/// Lets either any number of ordinary tests in, or one that wants to be alone.
private actor Gate {
  static let shared = Gate()

  private var inside = 0
  private var finished = 0
  private var isClosed = false
  private var waiting: [(alone: Bool, continuation: CheckedContinuation<Void, Never>)] = []

  func enter(alone: Bool) async {
    if waiting.isEmpty, admit(alone) { return }
    await withCheckedContinuation { waiting.append((alone, $0)) }
  }

  /// Notes that a test is over; returns whether no other is running, and then lets none in until it has left.
  func finishAndClose() -> Bool {
    finished += 1
    guard finished == inside else { return false }
    isClosed = true
    return true
  }

  func leave() {
    inside -= 1
    finished -= 1
    if inside == 0 { isClosed = false }
    while let first = waiting.first, admit(first.alone) {
      waiting.removeFirst().continuation.resume()
    }
  }

  private func admit(_ alone: Bool) -> Bool {
    guard !isClosed, !alone || inside == 0 else { return false }
    inside += 1
    isClosed = alone
    return true
  }
}
