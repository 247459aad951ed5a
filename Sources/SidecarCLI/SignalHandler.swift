internal import Glibc
internal import SidecarExecutor

/// Turns Ctrl-C and `SIGTERM` into requests to stop.
///
/// The first signal calls the handler, and the command ends in order. A second signal ends the process at once with the
/// exit code that a shell expects: 128 plus the signal's number. So does the first one if there is no handler.
///
/// The main thread only waits for signals; all work happens on other threads, in which the signals are blocked.
enum SignalHandler {
  private static let handler = Locked<(@Sendable () -> Void)?>(nil)

  private static var set: sigset_t {
    var set = sigset_t()
    sigemptyset(&set)
    sigaddset(&set, SIGINT)
    sigaddset(&set, SIGTERM)
    return set
  }

  /// Blocks the signals, in this thread and those that it starts. Call it before the process has a second thread.
  static func blockSignals() {
    var set = Self.set
    pthread_sigmask(SIG_BLOCK, &set, nil)
  }

  /// Waits for signals on the calling thread until the process ends.
  static func waitForSignals() -> Never {
    var set = Self.set
    while true {
      var number: Int32 = 0
      guard sigwait(&set, &number) == 0 else { continue }
      let body = handler.withLock { handler in
        defer { handler = nil }
        return handler
      }
      guard let body else { _exit(128 + number) }
      body()
    }
  }

  /// Calls `body` at the first signal, on the main thread. It must return quickly, so that a second signal is handled.
  static func onSignal(_ body: @escaping @Sendable () -> Void) {
    handler.withLock { $0 = body }
  }
}
