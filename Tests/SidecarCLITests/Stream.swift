import Glibc
import SidecarExecutor
import SidecarTestSupport

/// One end of a connected pair; the command has the other end as a standard stream.
///
/// A pair of sockets and not a pipe: both ends are created close-on-exec, so that no command started at the same time can
/// inherit one and keep the stream from ending.
final class Stream: Sendable {
  let descriptor: Int32
  private let isSocket: Bool
  /// Completed when everything has been read.
  let ended = Promise<Void>()
  private let received = Locked<[UInt8]>([])

  private init(owning descriptor: Int32, isSocket: Bool = true) {
    self.descriptor = descriptor
    self.isSocket = isSocket
  }

  deinit {
    close(descriptor)
  }

  static func pair() throws -> (ours: Stream, theirs: Stream) {
    var ends: [Int32] = [-1, -1]
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
      throw SystemError("socketpair", code: errno)
    }
    return (Stream(owning: ends[0]), Stream(owning: ends[1]))
  }

  // TIOCSPTLCK and TIOCGPTN: macros that Swift does not import.
  private static let (unlock, getNumber): (UInt, UInt) = (0x4004_5431, 0x8004_5430)

  /// Opens a pseudo-terminal: the window's side (ours) and the command's side (theirs).
  static func terminal() throws -> (ours: Stream, theirs: Stream) {
    // The steps of posix_openpt and unlockpt, which the Glibc module does not expose.
    let window = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
    guard window >= 0 else { throw SystemError("open", code: errno) }
    let ours = Stream(owning: window, isSocket: false)
    var (number, isLocked): (UInt32, Int32) = (0, 0)
    guard ioctl(window, Stream.unlock, &isLocked) == 0, ioctl(window, Stream.getNumber, &number) == 0 else {
      throw SystemError("ioctl", code: errno)
    }
    let terminal = open("/dev/pts/\(number)", O_RDWR | O_NOCTTY | O_CLOEXEC)
    guard terminal >= 0 else { throw SystemError("open", code: errno) }
    var size = winsize(ws_row: 24, ws_col: 60, ws_xpixel: 0, ws_ypixel: 0)
    _ = ioctl(terminal, UInt(TIOCSWINSZ), &size)
    return (ours, Stream(owning: terminal, isSocket: false))
  }

  /// Reads until the end, on another thread.
  func startReading() {
    startThread {
      var bytes = [UInt8](repeating: 0, count: 65_536)
      while case let count = read(self.descriptor, &bytes, bytes.count), count > 0 {
        self.received.withLock { $0.append(contentsOf: bytes[..<count]) }
      }
      self.ended.complete(())
    }
  }

  /// The text that has been read, with line ends as the command wrote them, not as a terminal shows them.
  var text: String {
    let text = String(decoding: received.withLock { $0 }, as: UTF8.self)
    return isSocket ? text : String(text.map { $0 == "\r\n" ? "\n" : $0 })
  }

  var lineCount: Int { received.withLock { bytes in bytes.count { $0 == UInt8(ascii: "\n") } } }

  /// Writes all bytes; blocks until the other side has taken them or closed the stream.
  func write(_ bytes: [UInt8]) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { bytes in
        isSocket
          ? send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
          : Glibc.write(descriptor, bytes.baseAddress, bytes.count)
      }
      if count > 0 { rest = rest.dropFirst(count) } else if errno != EINTR { return }
    }
  }

  func shutdownWrite() { shutdown(descriptor, Int32(SHUT_WR)) }

  func endReading() { shutdown(descriptor, Int32(SHUT_RD)) }
}
