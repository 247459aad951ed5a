import SidecarExecutor
import SidecarTesting
import SidecarTestSupport
import Testing

@testable import Sidecar

/// What the sidecar is doing when its end is asked for.
enum Phase: String, CaseIterable, Sendable {
  case resolving, connecting, upgrading, idle, flooded, handling, sending, receiving, closeSent, closeReceived

  /// Whether there is a connection that the peer can do something to.
  var hasPeer: Bool { self != .resolving && self != .connecting }
}

/// Who asks for the end, or brings it about.
enum Initiator: String, CaseIterable, Sendable {
  case asyncCaller, syncCaller, twoCallers, onSidecarThread, ownTask, cancelledTask, droppedReference
  case peerEndsStream, peerResets, peerIsSilent

  var isPeer: Bool { [.peerEndsStream, .peerResets, .peerIsSilent].contains(self) }
}

/// How much time is given.
enum Bound: String, CaseIterable, Sendable {
  case zero, short, long

  var duration: Duration {
    switch self {
    case .zero: .zero
    case .short: .milliseconds(30)
    case .long: .milliseconds(400)
    }
  }
}

struct Cell: Sendable, CustomTestStringConvertible {
  let phase: Phase
  let initiator: Initiator
  let bound: Bound

  var testDescription: String { "\(phase), \(initiator), \(bound)" }

  /// Every combination that exists.
  static let all: [Cell] = Phase.allCases.flatMap { phase in
    Initiator.allCases.flatMap { initiator in
      Bound.allCases.compactMap { bound in
        if initiator.isPeer, !phase.hasPeer { return nil }
        return Cell(phase: phase, initiator: initiator, bound: bound)
      }
    }
  }
}

/// Promises 1, 2 and 3, in every situation, over real sockets.
@Suite(.aloneWithCensus, .serialized) struct `The shutdown matrix` {
  @Test(arguments: Cell.all) func `every call ends, in time, and nothing is left`(_ cell: Cell) async throws {
    await warmUp()
    let before = ProcessCensus.take().descriptors
    let stage = try await Stage(cell.phase, peerIsSilent: cell.initiator == .peerIsSilent)
    let calls = cell.initiator == .droppedReference ? [] : stage.startCalls()
    try await stage.reach()

    var report: ShutdownReport?
    switch cell.initiator {
    case .droppedReference:
      stage.dropClient()
    case .peerEndsStream, .peerResets:
      await stage.act(cell.initiator == .peerResets ? [.reset] : [.endOfStream])
      report = try await expectShutdown(of: stage, cell) { await $0.shutdown(within: $1) }
    case .asyncCaller, .peerIsSilent:
      report = try await expectShutdown(of: stage, cell) { await $0.shutdown(within: $1) }
    case .syncCaller:
      report = try await expectShutdown(of: stage, cell) { client, bound in
        try await onThread { BlockingWebSocket(client).shutdown(within: bound) }
      }
    case .twoCallers:
      report = try await expectShutdown(of: stage, cell) { client, bound in
        async let first = client.shutdown(within: bound)
        async let second = onThread { BlockingWebSocket(client).shutdown(within: bound) }
        let reports = try await (first, second)
        #expect(reports.0 == reports.1)
        return reports.0
      }
    case .onSidecarThread:
      report = try await expectShutdown(of: stage, cell) { client, bound in
        let requested = Promise<ShutdownReport>()
        client.thread.post { requested.complete(blockingShutdown(client, bound)) }
        _ = await requested.uncancellableValue()
        return await client.shutdown(within: .seconds(60))
      }
    case .ownTask:
      report = try await expectShutdown(of: stage, cell) { client, bound in
        let published = Promise<MonotonicInstant>()
        client.whenReported { published.complete(.now) }
        do {
          // The task waits for the shutdown that would have to wait for the task.
          return try await client.run { await $0.shutdown(within: bound) }
        } catch WebSocketError.closed(nil) {
          // On a busy machine it may not come to return in the moment that it has for that; who waits for it is
          // released then.
          #expect(try #require(published.current).duration(to: .now) >= ShutdownStateMachine.grace)
          return await client.shutdown()
        }
      }
    case .cancelledTask:
      report = try await expectShutdown(of: stage, cell) { client, bound in
        let task = Task(executorPreference: CallerExecutor.shared) {
          while !Task.isCancelled { await Task.yield() }
          return await client.shutdown(within: bound)
        }
        task.cancel()
        return await task.value
      }
    }

    for call in calls {
      let ended = await call.ended.value(until: .after(.seconds(20)))
      guard case .value = ended else {
        Issue.record("\(call.name) did not end")
        continue
      }
    }
    stage.dropClient()
    #expect(await stage.clean())
    if let report, report.abandoned.isEmpty, cell.initiator != .ownTask {
      #expect(LiveCounts.current == LiveCounts.zero)
    } else {
      // What was abandoned or only dropped ends by itself, and a task that asks for the shutdown ends after it.
      #expect(await eventually { () async in LiveCounts.current == LiveCounts.zero }, "\(LiveCounts.current)")
    }
    // The kernel counts what other tests open for a moment, too.
    #expect(
      await eventually { () async in ProcessCensus.take().descriptors <= before },
      "\(ProcessCensus.take().descriptors) descriptors, \(before) before")
  }

  private func expectShutdown(
    of stage: Stage, _ cell: Cell, _ shutDown: (WebSocketSidecar, Duration) async throws -> ShutdownReport
  ) async throws -> ShutdownReport {
    let client = try #require(stage.client)
    let (report, elapsed) = try await offThePool {
      let begin = ContinuousClock.now
      return (try await shutDown(client, cell.bound.duration), ContinuousClock.now - begin)
    }
    #expect(elapsed <= cell.bound.duration + slack, "took \(elapsed.readable)\n\(report)")
    #expect(report.steps.map(\.name) == [.socket, .tasks, .thread])
    #expect(report.closeStatus != nil)
    #expect(report.elapsed <= elapsed)
    // Without time to speak of, a busy machine may not give tasks and thread a turn of theirs either. What is to spare
    // for them is a quarter of the bound where the socket took the rest.
    let hadTime = cell.bound == .long && (!machineIsBusy || report.steps.first?.outcome == .completed)
    let abandoned = report.abandoned.filter { if case .resolution = $0 { true } else { hadTime } }
    #expect(abandoned == (cell.phase == .resolving ? [.resolution(host: Stage.slowHost)] : []))
    // What is asked after the end is answered too.
    await #expect(throws: WebSocketError.self) { try await client.send("late") }
    await #expect(throws: WebSocketError.self) { try await client.ping() }
    await #expect(throws: (any Error).self) { try await client.run { _ in } }
    _ = try? await client.receive()
    for await _ in client.messages {}
    #expect(await client.shutdown(within: .zero) == report)
    return report
  }
}

private func blockingShutdown(_ client: WebSocketSidecar, _ bound: Duration) -> ShutdownReport {
  BlockingWebSocket(client).shutdown(within: bound)
}
