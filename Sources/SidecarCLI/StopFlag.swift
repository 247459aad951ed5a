internal import Synchronization

/// Says that somebody wants the command to end early: raised once, looked at often.
final class StopFlag: Sendable {
  private let flag = Atomic(false)

  var isRaised: Bool { flag.load(ordering: .relaxed) }

  func raise() { flag.store(true, ordering: .relaxed) }

  /// A flag that Ctrl-C and `SIGTERM` raise.
  static func raisedBySignal() -> StopFlag {
    let flag = StopFlag()
    SignalHandler.onSignal { flag.raise() }
    return flag
  }
}
