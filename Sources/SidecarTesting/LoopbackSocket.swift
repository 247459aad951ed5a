internal import Glibc
internal import SidecarExecutor
internal import SidecarTransport

/// A socket that is bound to a port of the loopback interface; closed with its last reference.
final class LoopbackSocket: Sendable {
  /// Enough for any burst of clients; the system cuts it to what it allows.
  static let largeBacklog: Int32 = 4096

  let descriptor: Int32
  let port: UInt16
  private let loopback: TestServer.Options.Loopback

  /// The URL of a server on this port.
  var url: String { loopback == .ipv4 ? "ws://127.0.0.1:\(port)/" : "ws://[::1]:\(port)/" }

  /// Binds a new, non-blocking socket; port 0 lets the system choose.
  init(_ loopback: TestServer.Options.Loopback, port: UInt16) throws(SystemError) {
    self.loopback = loopback
    let family = loopback == .ipv4 ? SocketAddress.Family.ipv4 : .ipv6
    guard let address = SocketAddress.loopback(family, port: port) else {
      throw SystemError("getaddrinfo", code: EAFNOSUPPORT)
    }
    let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    descriptor = socket(address.systemFamily, kind, Int32(IPPROTO_TCP))
    guard descriptor >= 0 else { throw SystemError("socket", code: errno) }
    do throws(SystemError) {
      // Connections in TIME_WAIT keep a port from a server that restarts on it, unless both servers set this.
      try LoopbackSocket.set(SO_REUSEADDR, 1, on: descriptor)
      let descriptor = descriptor
      guard address.withSockaddr({ bind(descriptor, $0, $1) }) == 0 else { throw SystemError("bind", code: errno) }
      guard let bound = SocketAddress(of: descriptor, peer: false) else {
        throw SystemError("getsockname", code: errno)
      }
      self.port = bound.port
    } catch {
      Glibc.close(descriptor)
      throw error
    }
  }

  deinit {
    Glibc.close(descriptor)
  }

  /// Lets clients connect; the system keeps `backlog` of them for us, and one more.
  func listen(backlog: Int32) throws(SystemError) {
    guard Glibc.listen(descriptor, backlog) == 0 else { throw SystemError("listen", code: errno) }
  }

  /// Sets the sizes of the buffers, which the accepted sockets inherit. Has an effect before ``listen(backlog:)`` only.
  func setBuffers(receive: Int?, send: Int?) throws(SystemError) {
    if let receive { try LoopbackSocket.set(SO_RCVBUF, Int32(clamping: receive), on: descriptor) }
    if let send { try LoopbackSocket.set(SO_SNDBUF, Int32(clamping: send), on: descriptor) }
  }

  /// Accepts a connection, which does not block; nil if none waits.
  func accept() throws(SystemError) -> Int32? {
    while true {
      let accepted = Glibc.accept(descriptor, nil, nil)
      if accepted >= 0 {
        // Glibc's module does not show `accept4`, which would do it in one go.
        _ = fcntl(accepted, F_SETFD, FD_CLOEXEC)
        _ = fcntl(accepted, F_SETFL, O_NONBLOCK)
        return accepted
      }
      switch errno {
      // A client that has gone again is none.
      case EINTR, ECONNABORTED: continue
      case EAGAIN: return nil
      case let code: throw SystemError("accept4", code: code)
      }
    }
  }

  private static func set(_ option: Int32, _ value: Int32, on descriptor: Int32) throws(SystemError) {
    var value = value
    guard setsockopt(descriptor, SOL_SOCKET, option, &value, socklen_t(MemoryLayout<Int32>.size)) == 0 else {
      throw SystemError("setsockopt", code: errno)
    }
  }
}
