import Dispatch
import SidecarExecutor
import SidecarTesting
import SidecarTransport
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

    switch cell.initiator {
    case .droppedReference:
      stage.dropClient()
    case .peerEndsStream, .peerResets:
      await stage.act(cell.initiator == .peerResets ? [.reset] : [.endOfStream])
      try await expectShutdown(of: stage, cell) { await $0.shutdown(within: $1) }
    case .asyncCaller, .peerIsSilent:
      try await expectShutdown(of: stage, cell) { await $0.shutdown(within: $1) }
    case .syncCaller:
      try await expectShutdown(of: stage, cell) { client, bound in
        try await onThread { BlockingWebSocket(client).shutdown(within: bound) }
      }
    case .twoCallers:
      try await expectShutdown(of: stage, cell) { client, bound in
        async let first = client.shutdown(within: bound)
        async let second = onThread { BlockingWebSocket(client).shutdown(within: bound) }
        let reports = try await (first, second)
        #expect(reports.0 == reports.1)
        return reports.0
      }
    case .onSidecarThread:
      try await expectShutdown(of: stage, cell) { client, bound in
        let requested = Promise<ShutdownReport>()
        client.connection.post { _ in requested.complete(blockingShutdown(client, bound)) }
        _ = await requested.uncancellableValue()
        return await client.shutdown(within: .seconds(60))
      }
    case .ownTask:
      try await expectShutdown(of: stage, cell) { client, bound in
        let published = Promise<MonotonicInstant>()
        client.coordinator.report.whenComplete { _ in published.complete(.now) }
        do {
          // The task waits for the shutdown that would have to wait for the task.
          return try await client.run { await $0.shutdown(within: bound) }
        } catch WebSocketError.closed(nil) {
          // On a busy machine it may not come to return in the moment that it has for that; who waits for it is released then.
          #expect(try #require(published.current).duration(to: .now) >= ShutdownStateMachine.grace)
          return await client.shutdown()
        }
      }
    case .cancelledTask:
      try await expectShutdown(of: stage, cell) { client, bound in
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
    #expect(await eventually { () async in LiveCounts.current == LiveCounts.zero }, "\(LiveCounts.current)")
    #expect(
      await eventually { () async in ProcessCensus.take().descriptors <= before },
      "\(ProcessCensus.take().descriptors) descriptors, \(before) before")
  }

  private func expectShutdown(
    of stage: Stage, _ cell: Cell, _ shutDown: (WebSocketSidecar, Duration) async throws -> ShutdownReport
  ) async throws {
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
  }
}

/// What Dispatch opens once and keeps is opened before anything is counted.
func warmUp() async {
  _ = await Promise<Void>().value(until: .after(.milliseconds(1)))
  _ = sleeper
  try? await Task.sleep(for: .milliseconds(1))
}

/// Sleeps for as long as the tests run. The concurrency runtime has a descriptor while any task sleeps, and does not take a
/// sleep back that was cancelled: without it, that descriptor would come with a cell's first sleep, and count as its leak.
private let sleeper = Task.immediate { try? await Task.sleep(for: .seconds(86_400)) }

/// What a bound may be exceeded by: the promise, and on request more for machines that are busy with something else.
let slack = promisedSlack * (ProcessInfoLite.environment("SIDECAR_TEST_SLACK").flatMap(Int.init) ?? 1)

private let promisedSlack = Duration.milliseconds(100)

/// Whether whoever started the tests has said that others use the machine.
private let machineIsBusy = slack > promisedSlack

private func blockingShutdown(_ client: WebSocketSidecar, _ bound: Duration) -> ShutdownReport {
  BlockingWebSocket(client).shutdown(within: bound)
}

extension LiveCounts {
  static let zero = LiveCounts(sidecars: 0, threads: 0, connections: 0, tasks: 0)
}
