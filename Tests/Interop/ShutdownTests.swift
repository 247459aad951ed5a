import Sidecar
import SidecarTestSupport
import Testing

@Suite(.census, .timeLimit(.minutes(10))) struct `Shutting down against a real server` {
  /// The other tests share the machine: the best of several attempts counts.
  private static let attempts = 10

  @Test(arguments: Skin.allCases) func `one that is silent but answers costs a round trip, not a time-out`(
    skin: Skin
  ) async throws {
    var best = patience
    for _ in 0..<Self.attempts where best >= .milliseconds(50) {
      try await withClient(skin, "/silent") { client, _ in
        let start = ContinuousClock.now
        let report = try await client.shutdown()
        best = min(best, ContinuousClock.now - start)
        #expect(report.isClean)
        #expect(report.closeStatus?.wasClean == true)
      }
    }
    #expect(best < .milliseconds(50))
  }

  @Test(arguments: Skin.allCases, [false, true]) func `one that hangs costs the bound, and the report says so`(
    skin: Skin, withUnsentBytes: Bool
  ) async throws {
    let bound = Duration.milliseconds(300)
    for attempt in 1...Self.attempts {
      let (report, elapsed, status) = try await withClient(skin, "/silent") { client, peer in
        peer.freeze()
        if withUnsentBytes { try await fillOutbox(of: client) }
        let start = ContinuousClock.now
        let report = try await client.shutdown(within: bound)
        return (report, ContinuousClock.now - start, client.closeStatus)
      }
      #expect(elapsed >= bound)
      #expect(!report.isClean)
      #expect(report.bound == bound)
      #expect(report.steps.first?.outcome == .timedOut)
      #expect(report.closeStatus?.code == .abnormalClosure)
      #expect(report.closeStatus?.error == .timedOut(.closingHandshake))
      #expect(report.closeStatus == status)
      // A thread that the machine does not let run for 50 ms is abandoned too.
      guard elapsed > bound + .milliseconds(100) || !report.abandoned.isEmpty else {
        #expect(report.steps.map(\.name) == [.socket, .tasks, .thread])
        #expect(report.steps.map(\.outcome) == [.timedOut, .notNeeded, .completed])
        #expect(report.summary.hasPrefix("timed out waiting for the socket in "))
        return
      }
      #expect(attempt < Self.attempts, "took \(elapsed)\n\(report)")
    }
  }

  @Test(arguments: Skin.allCases) func `one that hangs does not hold up calls that wait`(skin: Skin) async throws {
    try await withClient(skin, "/silent") { client, peer in
      peer.freeze()
      async let receiving = Result { try await client.receive() }
      async let pinging = Result { try await client.ping() }
      let report = try await client.shutdown(within: .zero)
      #expect(report.elapsed < .seconds(5))
      let (received, pinged) = await (receiving, pinging)
      #expect(try received.get() == nil)
      #expect(throws: WebSocketError.self) { try pinged.get() }
    }
  }
}

extension Result where Failure == any Error {
  fileprivate init(_ body: () async throws -> Success) async {
    do { self = .success(try await body()) } catch { self = .failure(error) }
  }
}
