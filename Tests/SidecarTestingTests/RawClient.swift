import Glibc
import SidecarTesting

/// A blocking TCP client that sends any bytes, valid or not. Every call ends within 20 s.
final class RawClient {
  let descriptor: Int32

  /// Connects to a port of 127.0.0.1. Sets the buffer sizes before, which is when they have an effect.
  init(_ port: UInt16, receiveBuffer: Int32? = nil, sendBuffer: Int32? = nil) throws(SystemError) {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    for (option, size) in [(SO_RCVBUF, receiveBuffer), (SO_SNDBUF, sendBuffer)] {
      guard var size else { continue }
      setsockopt(descriptor, SOL_SOCKET, option, &size, socklen_t(MemoryLayout<Int32>.size))
    }
    setTimeout(SO_RCVTIMEO, seconds: 20)
    setTimeout(SO_SNDTIMEO, seconds: 20)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let status = withUnsafePointer(to: &address) { address in
      address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    if status != 0 {
      let error = errno
      close()
      throw SystemError("connect", code: error)
    }
  }

  deinit { close() }

  private var isClosed = false

  func close() {
    if !isClosed { Glibc.close(descriptor) }
    isClosed = true
  }

  func setTimeout(_ option: Int32, seconds: Int = 0, microseconds: Int = 0) {
    var time = timeval(tv_sec: seconds, tv_usec: microseconds)
    setsockopt(descriptor, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size))
  }

  func shutdownWrite() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// Closes with a reset.
  func reset() {
    var option = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    close()
  }

  /// Sends bytes.
  ///
  /// - Returns: How many the system took: all, unless a time-out or an error came first.
  @discardableResult
  func send(_ bytes: some Sequence<UInt8>) -> Int {
    let bytes = Array(bytes)
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { break }
      sent += count
    }
    return sent
  }

  func send(_ text: String) { send(text.utf8) }

  func send(_ frame: RawFrame) { send(frame.bytes) }

  /// Reads once.
  ///
  /// - Returns: The bytes; none at the end of the stream, nil after an error.
  func receive(upTo limit: Int = 64 * 1024) -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: limit)
    let count = recv(descriptor, &buffer, limit, 0)
    return count < 0 ? nil : Array(buffer[..<count])
  }

  /// Reads `count` bytes, or fewer if the stream ends.
  func receive(count: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < count, let more = receive(upTo: count - bytes.count), !more.isEmpty { bytes += more }
    return bytes
  }

  /// Reads up to and including `end`. The server must not send anything after it.
  func receive(through end: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = []
    while !bytes.suffix(end.count).elementsEqual(end), let more = receive(), !more.isEmpty { bytes += more }
    return bytes
  }

  /// Reads until the stream ends.
  ///
  /// - Returns: The bytes, and the error that ended the stream, or 0.
  func receiveToEnd() -> (bytes: [UInt8], error: Int32) {
    var bytes: [UInt8] = []
    while let more = receive() {
      if more.isEmpty { return (bytes, 0) }
      bytes += more
    }
    return (bytes, errno)
  }

  /// Reads up to and including an empty line.
  func receiveHead() -> String {
    var head: [UInt8] = []
    while !head.suffix(4).elementsEqual("\r\n\r\n".utf8) {
      guard let byte = receive(upTo: 1), !byte.isEmpty else { break }
      head += byte
    }
    return String(decoding: head, as: UTF8.self)
  }

  static func request(path: String = "/", headers: String = "") -> String {
    "GET \(path) HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\(headers)\r\n"
  }

  /// Sends an opening request, and returns the head of the answer.
  @discardableResult
  func open(path: String = "/", headers: String = "") -> String {
    send(RawClient.request(path: path, headers: headers))
    return receiveHead()
  }
}
