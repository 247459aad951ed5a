internal import SidecarExecutor

/// One line that says how far a command has come.
///
/// On a terminal it is overwritten some times a second. Elsewhere each state is a line of its own, far less often, so that
/// a log stays readable. From any thread.
final class ProgressLine: Sendable {
  private struct State {
    var lastShown: ContinuousClock.Instant?
    var isVisible = false
  }

  private let terminal: Terminal
  private let interval: Duration
  private let state = Locked(State())

  /// Makes a line on `terminal`; `plainInterval` is how often it is written where it can't be overwritten.
  init(on terminal: Terminal = .error, plainInterval: Duration = .seconds(1)) {
    self.terminal = terminal
    interval = terminal.isInteractive ? .milliseconds(100) : plainInterval
  }

  /// Shows `text`, unless something was shown just now.
  func show(_ text: @autoclosure () -> String) {
    let isDue = state.withLock { state in
      let now = ContinuousClock.now
      if let last = state.lastShown, now < last + interval { return false }
      state.lastShown = now
      state.isVisible = true
      return true
    }
    guard isDue else { return }
    if terminal.isInteractive {
      // To the left, the text, and nothing behind it; a line that wraps could not be overwritten.
      terminal.write("\r\(text().prefix(max(1, terminal.width - 1)))\u{1B}[K")
    } else {
      terminal.write(text() + "\n")
    }
  }

  /// Makes room for ordinary output; what is shown next is shown at once.
  func clear() {
    let wasVisible = state.withLock { state in
      state.lastShown = nil
      defer { state.isVisible = false }
      return state.isVisible
    }
    if wasVisible, terminal.isInteractive { terminal.write("\r\u{1B}[K") }
  }
}

extension ProgressLine {
  /// A bar such as `[#######-------]`.
  static func bar(_ done: Int, of total: Int, width: Int = 24) -> String {
    let filled = total > 0 ? min(width, done * width / total) : width
    return "[" + String(repeating: "#", count: filled) + String(repeating: "-", count: width - filled) + "]"
  }
}
