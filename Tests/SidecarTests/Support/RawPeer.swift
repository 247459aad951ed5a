import Glibc
import SidecarExecutor
import SidecarProtocol
import SidecarTestSupport
import SidecarTesting

/// A server for one connection, whose script is ordinary blocking code: for peers that read and write at the same time, or
/// not when they should.
final class RawPeer: Sendable {
  let url: String
  private let listener: Int32
  private let finished = Promise<Result<Void, any Error>>()

  /// Listens on a free port of 127.0.0.1, and runs `script` on a thread of its own once a client has connected.
  ///
  /// - Parameter receiveBuffer: The size of the kernel's receive buffer, in bytes; nil for the default.
  init(receiveBuffer: Int32? = nil, script: @escaping @Sendable (RawStream) throws -> Void) throws {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    self.listener = listener
    if var receiveBuffer {
      setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, socklen_t(MemoryLayout<Int32>.size))
    }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let status = withUnsafeMutablePointer(to: &address) { address in
      address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        bind(listener, address, size) == 0 && listen(listener, 4) == 0 ? getsockname(listener, address, &size) : -1
      }
    }
    guard status == 0 else { throw SystemError("bind", code: errno) }
    url = "ws://127.0.0.1:\(UInt16(bigEndian: address.sin_port))/"
    startThread { [finished] in
      finished.complete(
        Result {
          let descriptor = accept(listener, nil, nil)
          guard descriptor >= 0 else { throw SystemError("accept", code: errno) }
          _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
          let stream = RawStream(descriptor)
          defer { stream.close() }
          try script(stream)
        })
    }
  }

  deinit { close(listener) }

  /// Waits for the script's end, and throws what it threw.
  func end() async throws { try await finished.uncancellableValue().get() }
}

/// The peer's end of a connection. Every call ends within 60 s.
final class RawStream: @unchecked Sendable {
  // Safe to share: the descriptor changes only when the script is over. One thread reads and one writes.
  private var descriptor: Int32
  /// Read already, and not taken.
  private var pending: [UInt8] = []

  struct Ended: Error {}

  struct Frame: Equatable {
    let opcode: Opcode
    let payload: [UInt8]
  }

  init(_ descriptor: Int32) {
    self.descriptor = descriptor
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      var time = timeval(tv_sec: 60, tv_usec: 0)
      setsockopt(descriptor, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size))
    }
  }

  /// Reads what is there, at least one byte.
  func read(upTo count: Int = 1 << 16) throws -> [UInt8] {
    if !pending.isEmpty {
      defer { pending.removeFirst(min(count, pending.count)) }
      return Array(pending.prefix(count))
    }
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, read in
      read = max(0, recv(descriptor, buffer.baseAddress, count, 0))
    }
    if bytes.isEmpty { throw Ended() }
    return bytes
  }

  func read(exactly count: Int) throws -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < count { bytes += try read(upTo: count - bytes.count) }
    return bytes
  }

  /// Reads up to and with `end`.
  func read(through end: String) throws -> [UInt8] {
    let end = Array(end.utf8)
    var bytes: [UInt8] = []
    while true {
      let searched = max(0, bytes.count - end.count + 1)
      bytes += try read()
      let found = bytes.withUnsafeBytes { bytes -> Int? in
        guard bytes.count >= end.count else { return nil }
        return (searched...(bytes.count - end.count)).first { start in
          bytes[start] == end[0] && bytes[start..<(start + end.count)].elementsEqual(end)
        }
      }
      guard let found else { continue }
      pending = bytes[(found + end.count)...] + pending
      return Array(bytes[..<(found + end.count)])
    }
  }

  func write(_ bytes: [UInt8]) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      guard count > 0 else { throw Ended() }
      rest = rest.dropFirst(count)
    }
  }

  /// Writes `bytes` over and over until the kernel has taken no more for a while.
  ///
  /// - Returns: How many bytes it took.
  func fill(with bytes: [UInt8]) -> Int {
    var total = 0
    while true {
      var watched = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
      guard Glibc.poll(&watched, 1, 300) == 1 else { return total }
      // Goes on where the last write stopped.
      let rest = bytes[(total % bytes.count)...]
      let count = rest.withUnsafeBytes {
        send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
      }
      if count > 0 { total += count } else if errno != EAGAIN { return total }
    }
  }

  /// Answers the opening request `head` with 101.
  func accept(_ head: [UInt8], headers: String = "") throws {
    let lines = String(decoding: head, as: UTF8.self).split(separator: "\r\n")
    let key = lines.first { $0.hasPrefix("Sec-WebSocket-Key: ") }?.dropFirst(19) ?? ""
    let response = """
      HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
      Sec-WebSocket-Accept: \(HandshakeKey(String(key)).accept)\r\n\(headers)\r\n
      """
    try write(Array(response.utf8))
  }

  /// Reads the opening request, and accepts it.
  func open(headers: String = "") throws {
    try accept(read(through: "\r\n\r\n"), headers: headers)
  }

  /// Reads a frame of a client.
  func readFrame() throws -> Frame {
    let head = try read(exactly: 2)
    var length = Int(head[1] & 0x7F)
    if length > 125 {
      length = try read(exactly: length == 126 ? 2 : 8).reduce(0) { $0 << 8 | Int($1) }
    }
    let key = try read(exactly: 4)
    var payload = try read(exactly: length)
    for index in payload.indices { payload[index] ^= key[index % 4] }
    return Frame(opcode: Opcode(rawValue: head[0] & 0x0F) ?? .continuation, payload: payload)
  }

  func setReceiveBuffer(_ size: Int32) {
    var size = size
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
  }

  /// Closes with a reset.
  func reset() {
    var option = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    close()
  }

  func close() {
    if descriptor >= 0 { _ = Glibc.close(descriptor) }
    descriptor = -1
  }
}
