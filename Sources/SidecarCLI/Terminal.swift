internal import Glibc
internal import SidecarExecutor

/// A standard stream. Writes are unbuffered, and in colour only on a terminal.
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

  /// The number of columns.
  var width: Int {
    var size = winsize()
    guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
    return Int(size.ws_col)
  }

  // MARK: Writing

  /// Writes `text`. Errors are ignored: a reader may stop reading whenever it likes.
  func write(_ text: String) {
    var text = text
    text.withUTF8 { bytes in
      do throws(SystemError) { try write(UnsafeRawBufferPointer(bytes)) } catch {}
    }
  }

  /// Writes all bytes; blocks until they are written.
  ///
  /// - Throws: The system's error; `EPIPE` if the reader has closed the stream.
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

  /// Whether a read would return at once, with bytes or the end of the stream.
  var canBeRead: Bool {
    var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&entry, 1, 0) > 0
  }

  /// Reads available bytes, and blocks if there are none.
  ///
  /// - Returns: The number of bytes; 0 at the end of the stream.
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

  /// Blocks until the stream is ready: another process that shares it may have made it non-blocking.
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

  /// Returns `text` in a style, or unchanged if the stream shows no colours.
  func styled(_ text: String, _ style: Style) -> String {
    hasColour ? "\u{1B}[\(style.rawValue)m\(text)\u{1B}[0m" : text
  }
}
