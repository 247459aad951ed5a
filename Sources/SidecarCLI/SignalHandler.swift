internal import Glibc
internal import SidecarExecutor

/// Turns Ctrl-C and `SIGTERM` into a wish to end.
///
/// The first signal is told to whoever watches, and the program ends in order. The second one, from a user who has lost
/// patience, ends the process at once with the exit code that a shell expects (128 and the signal's number), and so does
/// the first if nobody watches.
///
/// The main thread does the waiting, and nothing else: left to the runtime it would let every signal through.
enum SignalHandler {
  private static let watcher = Locked<(@Sendable () -> Void)?>(nil)

  private static var set: sigset_t {
    var set = sigset_t()
    sigemptyset(&set)
    sigaddset(&set, SIGINT)
    sigaddset(&set, SIGTERM)
    return set
  }

  /// Keeps the signals for the main thread. To be called before the process has a second thread.
  static func blockSignals() {
    var set = Self.set
    pthread_sigmask(SIG_BLOCK, &set, nil)
  }

  /// Makes the main thread wait for signals until somebody ends the process.
  static func waitForSignals() -> Never {
    var set = Self.set
    while true {
      var number: Int32 = 0
      guard sigwait(&set, &number) == 0 else { continue }
      let body = watcher.withLock { watcher in
        defer { watcher = nil }
        return watcher
      }
      guard let body else { _exit(128 + number) }
      body()
    }
  }

  /// Calls `body` at the first signal, on the main thread; it must return soon.
  static func onSignal(_ body: @escaping @Sendable () -> Void) {
    watcher.withLock { $0 = body }
  }
}
