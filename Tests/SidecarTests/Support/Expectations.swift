import SidecarTestSupport
import Testing

@testable import Sidecar

/// What a bound may be exceeded by: the promise, and on request more for machines that are busy with something else.
let slack = promisedSlack * (ProcessInfoLite.environment("SIDECAR_TEST_SLACK").flatMap(Int.init) ?? 1)

private let promisedSlack = Duration.milliseconds(100)

/// Whether the environment says that others use the machine.
let machineIsBusy = slack > promisedSlack

func somethingElseCame(sourceLocation: SourceLocation = #_sourceLocation) {
  Issue.record("something else came", sourceLocation: sourceLocation)
}

extension LiveCounts {
  static let zero = LiveCounts(sidecars: 0, threads: 0, connections: 0, tasks: 0)

  /// Whether no client is left beside a test server, which may still have connections in its hands.
  var isOnlyAServer: Bool { sidecars == 0 && threads == 1 && tasks == 0 }
}

/// Expects that a thread that was abandoned ends now that nothing holds it, and that only the server's thread is left.
func expectEnd(ofThreadOf client: WebSocketSidecar, sourceLocation: SourceLocation = #_sourceLocation) async {
  #expect(await client.thread.shutdown(within: patience), sourceLocation: sourceLocation)
  #expect(LiveCounts.current.threads == 1, "only the server's thread is left", sourceLocation: sourceLocation)
}
