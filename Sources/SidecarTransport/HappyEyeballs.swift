package import SidecarExecutor

/// Decides when to try which address of a host (RFC 8305). Without sockets and without a clock: the time is passed in.
///
/// Families take turns (§4). The next attempt starts when the last one has failed, or has taken ``attemptDelay`` (§5).
/// The first connection wins; the owner closes the rest.
package struct HappyEyeballs: Sendable {
  /// The "Connection Attempt Delay" (RFC 8305 §5).
  package static let attemptDelay = Duration.milliseconds(250)

  /// What the owner has to do.
  package enum Action: Hashable, Sendable {
    /// Start an attempt now, and call ``delayPassed(at:)`` at `nextAt`, replacing any earlier `nextAt`.
    case connect(SocketAddress, nextAt: MonotonicInstant?)
    /// Go on with what is running and planned.
    case wait
    /// Nothing is left to try.
    case fail(Connector.Failure)
  }

  private var waiting: ArraySlice<SocketAddress>
  private var runningCount = 0
  private var nextAt: MonotonicInstant?
  private var failures: [(address: SocketAddress, error: SystemError)] = []

  /// - Parameter addresses: In the order of preference, as a resolver returns them (RFC 6724).
  package init(_ addresses: [SocketAddress]) {
    waiting = HappyEyeballs.interleaved(addresses)[...]
  }

  /// Starts the first attempt.
  package mutating func start(at now: MonotonicInstant) -> Action {
    next(at: now)
  }

  /// Starts the next attempt if its time has come, whatever the running ones do.
  package mutating func delayPassed(at now: MonotonicInstant) -> Action {
    guard let nextAt, nextAt <= now else { return .wait }
    return next(at: now)
  }

  /// Records the end of an attempt. The next one does not wait for its time (RFC 8305 §5).
  package mutating func attemptFailed(
    _ address: SocketAddress, _ error: SystemError, at now: MonotonicInstant
  ) -> Action {
    runningCount -= 1
    failures.append((address, error))
    return next(at: now)
  }

  private mutating func next(at now: MonotonicInstant) -> Action {
    nextAt = nil
    guard let address = waiting.popFirst() else { return runningCount > 0 ? .wait : .fail(failure) }
    runningCount += 1
    if !waiting.isEmpty { nextAt = now + HappyEyeballs.attemptDelay }
    return .connect(address, nextAt: nextAt)
  }

  /// Blames the process and not the peer if no address could even be tried.
  private var failure: Connector.Failure {
    if let first = failures.first, failures.allSatisfy(\.error.isResourceShortage) { return .system(first.error) }
    return .connect(ConnectError(attempts: failures.map { .init(address: $0.address.description, error: $0.error) }))
  }

  /// Orders the addresses so that the first one's family and the other one take turns, each in its own order (RFC 8305
  /// §4).
  static func interleaved(_ addresses: [SocketAddress]) -> [SocketAddress] {
    guard addresses.count > 1, let preferred = addresses.first?.family else { return addresses }
    let first = addresses.filter { $0.family == preferred }
    let second = addresses.filter { $0.family != preferred }
    return (0..<max(first.count, second.count)).flatMap { index in
      [first, second].compactMap { index < $0.count ? $0[index] : nil }
    }
  }
}
