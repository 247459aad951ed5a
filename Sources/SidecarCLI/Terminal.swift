internal import Glibc
internal import SidecarExecutor

/// A standard stream: written to without a buffer in between, and in colour only if somebody is there to see it.
struct Terminal: Sendable {
  let descriptor: Int32
  /// Whether it is a terminal, rather than a file or a pipe.
  let isInteractive: Bool
  private let hasColour: Bool

  static let input = Terminal(STDIN_FILENO)
  static let output = Terminal(STDOUT_FILENO)
  static let error = Terminal(STDERR_FILENO)

  private init(_ descriptor: Int32) {
    self.descriptor = descriptor
    isInteractive = isatty(descriptor) == 1
    let terminal = getenv("TERM").map { String(cString: $0) } ?? "dumb"
    hasColour = isInteractive && getenv("NO_COLOR") == nil && terminal != "dumb"
  }

  /// How many characters fit in a line.
  var width: Int {
    var size = winsize()
    guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
    return Int(size.ws_col)
  }

  // MARK: Writing

  /// Writes `text`; if nobody reads it any more, that is theirs to choose.
  func write(_ text: String) {
    var text = text
    text.withUTF8 { bytes in
      do throws(SystemError) { try write(UnsafeRawBufferPointer(bytes)) } catch {}
    }
  }

  /// Writes all the bytes, however long it takes.
  ///
  /// Throws the system's reason; `EPIPE` if the reader has gone.
  func write(_ bytes: UnsafeRawBufferPointer) throws(SystemError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let part = UnsafeRawBufferPointer(rebasing: rest)
      let count = Glibc.write(descriptor, part.baseAddress, part.count)
      if count >= 0 {
        rest = rest.dropFirst(count)
        continue
      }
      let code = errno
      switch code {
      case EINTR: continue
      case EAGAIN: waitUntilReady(for: POLLOUT)
      default: throw SystemError("write", code: code)
      }
    }
  }

  /// Whether a read would not wait: there is something to read, or the end has come.
  var canBeRead: Bool {
    var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&entry, 1, 0) > 0
  }

  /// Reads what is there, and waits for it if nothing is; 0 at the end.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws(SystemError) -> Int {
    while true {
      let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
      if count >= 0 { return count }
      let code = errno
      switch code {
      case EINTR: continue
      case EAGAIN: waitUntilReady(for: POLLIN)
      default: throw SystemError("read", code: code)
      }
    }
  }

  /// Someone else who shares the stream has made it non-blocking.
  private func waitUntilReady(for events: Int32) {
    var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
    poll(&entry, 1, -1)
  }

  // MARK: Style

  enum Style: String {
    case bold = "1"
    case dim = "2"
    case good = "32"
    case bad = "31"
    case accent = "36"
  }

  /// `text` in a style, if the terminal has any.
  func styled(_ text: String, _ style: Style) -> String {
    hasColour ? "\u{1B}[\(style.rawValue)m\(text)\u{1B}[0m" : text
  }
}
