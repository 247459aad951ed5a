import Glibc
import SidecarExecutor
import TestSupport

/// One end of a connected pair, of which a command has the other one as a standard stream.
///
/// A pair of sockets rather than a pipe: it can be made without a moment in which a command that is started just now
/// inherits an end, and then keeps the stream from ending.
final class Stream: Sendable {
  let descriptor: Int32
  /// Everything has been read.
  let ended = Completion<Void>()
  private let received = Locked<[UInt8]>([])

  private init(owning descriptor: Int32) {
    self.descriptor = descriptor
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

  /// Reads until the end, on a thread of its own.
  func startReading() {
    Task.detached {
      try await onThread {
        var bytes = [UInt8](repeating: 0, count: 65_536)
        while case let count = read(self.descriptor, &bytes, bytes.count), count > 0 {
          self.received.withLock { $0.append(contentsOf: bytes[..<count]) }
        }
        self.ended.complete(())
      }
    }
  }

  var text: String { String(decoding: received.withLock { $0 }, as: UTF8.self) }

  var lineCount: Int { received.withLock { bytes in bytes.count { $0 == UInt8(ascii: "\n") } } }

  /// Blocks until the other side has taken all of it, or has gone.
  func write(_ bytes: [UInt8]) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      if count > 0 { rest = rest.dropFirst(count) } else if errno != EINTR { return }
    }
  }

  func endWriting() { shutdown(descriptor, Int32(SHUT_WR)) }

  func endReading() { shutdown(descriptor, Int32(SHUT_RD)) }
}
