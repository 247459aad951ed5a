internal import Synchronization

/// A flag that is raised when the user wants the command to end early.
final class StopFlag: Sendable {
  private let flag = Atomic(false)

  var isRaised: Bool { flag.load(ordering: .relaxed) }

  func raise() { flag.store(true, ordering: .relaxed) }

  /// Makes a flag that Ctrl-C and `SIGTERM` raise.
  static func raisedBySignal() -> StopFlag {
    let flag = StopFlag()
    SignalHandler.onSignal { flag.raise() }
    return flag
  }
}
