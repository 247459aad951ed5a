internal import SidecarExecutor

/// A line that shows a command's progress.
///
/// On a terminal the line is overwritten several times a second. Elsewhere each update is a new line, much less often,
/// so that a log stays readable. Can be used from any thread.
final class ProgressLine: Sendable {
  private struct State {
    var lastShown: ContinuousClock.Instant?
    var isVisible = false
  }

  private let terminal: Terminal
  private let interval: Duration
  private let state = Locked(State())

  /// Makes a line on `terminal`.
  ///
  /// - Parameter plainInterval: The time between two lines where a line cannot be overwritten.
  init(on terminal: Terminal = .error, plainInterval: Duration = .seconds(1)) {
    self.terminal = terminal
    interval = terminal.isInteractive ? .milliseconds(100) : plainInterval
  }

  /// Shows `text`, unless the last update was less than the interval ago.
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
      // Return, the text, clear the rest. Cut to the width: a line that wraps could not be overwritten.
      terminal.write("\r\(text().prefix(max(1, terminal.width - 1)))\u{1B}[K")
    } else {
      terminal.write(text() + "\n")
    }
  }

  /// Removes the line before ordinary output. The next update is shown at once.
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
  /// Returns a bar such as `[#######-------]`.
  static func bar(_ done: Int, of total: Int, width: Int = 24) -> String {
    let filled = total > 0 ? min(width, done * width / total) : width
    return "[" + String(repeating: "#", count: filled) + String(repeating: "-", count: width - filled) + "]"
  }
}
