internal import CSidecarSystem
internal import Glibc
package import SidecarExecutor

/// The system's socket calls, with its errors as values. All socket calls are here.
package enum SocketCalls {
  // MARK: Opening

  /// Opens a stream socket that never blocks and that programs started by this one do not inherit.
  package static func open(_ family: SocketAddress.Family) throws(SystemError) -> Int32 {
    let systemFamily =
      switch family {
      case .ipv4: AF_INET
      case .ipv6: AF_INET6
      case .unix: AF_UNIX
      }
    let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    let descriptor = Glibc.socket(systemFamily, kind, 0)
    guard descriptor >= 0 else { throw SystemError("socket", code: errno) }
    return descriptor
  }

  /// Progress of a connect that has not failed.
  package enum ConnectProgress: Hashable, Sendable {
    case connected
    /// The socket becomes writable when it is connected or has failed.
    case inProgress
    /// The backlog of the Unix-domain listener is full. No event tells when it has room again.
    case backlogFull
  }

  /// Begins to connect, or asks for the progress of a connect that was begun.
  package static func connect(_ descriptor: Int32, to address: SocketAddress) throws(SystemError) -> ConnectProgress {
    guard address.withSockaddr({ Glibc.connect(descriptor, $0, $1) }) != 0 else { return .connected }
    switch errno {
    case EISCONN: return .connected
    case EINPROGRESS, EALREADY, EINTR: return .inProgress
    case EAGAIN where address.family == .unix: return .backlogFull
    case let code: throw SystemError("connect", code: code)
    }
  }

  /// Takes the error that the socket holds, or nil if there is none.
  ///
  /// - Parameter call: What ended with the error: a pending connect, or the connection.
  package static func pendingError(of descriptor: Int32, in call: String = "connect") -> SystemError? {
    var code: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    guard getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length) == 0 else {
      return SystemError("getsockopt", code: errno)
    }
    return code == 0 ? nil : SystemError(call, code: code)
  }

  // MARK: Listening

  /// Binds the socket to an address.
  package static func bind(_ descriptor: Int32, to address: SocketAddress) throws(SystemError) {
    guard address.withSockaddr({ Glibc.bind(descriptor, $0, $1) }) == 0 else { throw SystemError("bind", code: errno) }
  }

  /// Lets clients connect.
  ///
  /// - Parameter backlog: How many connections the system keeps until they are accepted; it keeps one more.
  package static func listen(_ descriptor: Int32, backlog: Int32) throws(SystemError) {
    guard Glibc.listen(descriptor, backlog) == 0 else { throw SystemError("listen", code: errno) }
  }

  /// Accepts a connection, which does not block and is not inherited.
  ///
  /// - Returns: Its descriptor, which the caller owns; nil if no connection is waiting.
  package static func accept(_ descriptor: Int32) throws(SystemError) -> Int32? {
    while true {
      let accepted = csidecar_accept(descriptor)
      if accepted >= 0 { return accepted }
      switch -accepted {
      // The client has already gone; the next one may be waiting.
      case EINTR, ECONNABORTED: continue
      case EAGAIN: return nil
      case let code: throw SystemError("accept4", code: code)
      }
    }
  }

  /// Removes the file of a Unix-domain socket.
  static func unlink(_ name: UnixSocketName) {
    guard !name.isAbstract, !name.bytes.isEmpty else { return }
    _ = (name.bytes + [0]).map { CChar(bitPattern: $0) }.withUnsafeBufferPointer { path in
      path.baseAddress.map { Glibc.unlink($0) }
    }
  }

  // MARK: Transfer

  /// Reads what has arrived, as much as fits.
  static func receive(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
    while true {
      let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
      if count > 0 { return .bytes(count) }
      if count == 0 { return .endOfStream }
      switch errno {
      case EINTR: continue
      case EAGAIN: return .wouldBlock
      case let code: return .failed(SystemError("recv", code: code))
      }
    }
  }

  /// Writes as much as the kernel takes. A peer that is gone is an error, never a signal.
  static func send(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> IOResult {
    while true {
      let count = Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
      if count >= 0 { return .bytes(count) }
      switch errno {
      case EINTR: continue
      case EAGAIN: return .wouldBlock
      case let code: return .failed(SystemError("send", code: code))
      }
    }
  }

  // MARK: Ending

  /// Ends the writing half of a connection.
  static func shutdownWrite(_ descriptor: Int32) {
    Glibc.shutdown(descriptor, Int32(SHUT_WR))
  }

  /// Ends both halves of a connection.
  static func shutdownBoth(_ descriptor: Int32) {
    Glibc.shutdown(descriptor, Int32(SHUT_RDWR))
  }

  /// Closes a descriptor. Not retried on EINTR: Linux has closed it by then, and its number may be reused.
  package static func close(_ descriptor: Int32) {
    Glibc.close(descriptor)
  }

  // MARK: Addresses

  /// Returns the address that a socket is bound to.
  package static func localAddress(of descriptor: Int32) -> SocketAddress? {
    address { getsockname(descriptor, $0, $1) }
  }

  /// Returns the address of a socket's peer.
  package static func remoteAddress(of descriptor: Int32) -> SocketAddress? {
    address { getpeername(descriptor, $0, $1) }
  }

  private static func address(
    _ ask: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
  ) -> SocketAddress? {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    return withUnsafeMutablePointer(to: &storage) { storage in
      storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        ask(address, &length) == 0 ? SocketAddress(address, length: length) : nil
      }
    }
  }

  // MARK: Options

  /// Sends small segments at once (`tcp(7)`, TCP_NODELAY). Has no effect on a Unix-domain socket, which always does.
  static func disableNagle(_ descriptor: Int32) {
    try? set(Int32(IPPROTO_TCP), TCP_NODELAY, Int32(1), on: descriptor)
  }

  /// Makes closing the socket reset a TCP connection.
  static func resetOnClose(_ descriptor: Int32) {
    try? set(SOL_SOCKET, SO_LINGER, linger(l_onoff: 1, l_linger: 0), on: descriptor)
  }

  /// Sets the size of the receive buffer, of which the kernel reserves twice as much.
  package static func setReceiveBuffer(_ descriptor: Int32, to byteCount: Int32) throws(SystemError) {
    try set(SOL_SOCKET, SO_RCVBUF, byteCount, on: descriptor)
  }

  /// Sets the size of the send buffer, of which the kernel reserves twice as much.
  package static func setSendBuffer(_ descriptor: Int32, to byteCount: Int32) throws(SystemError) {
    try set(SOL_SOCKET, SO_SNDBUF, byteCount, on: descriptor)
  }

  /// Lets a server bind a port that still has connections in TIME_WAIT.
  package static func allowAddressReuse(_ descriptor: Int32) throws(SystemError) {
    try set(SOL_SOCKET, SO_REUSEADDR, Int32(1), on: descriptor)
  }

  private static func set<Value: BitwiseCopyable>(
    _ level: Int32, _ option: Int32, _ value: Value, on descriptor: Int32
  ) throws(SystemError) {
    let status = withUnsafeBytes(of: value) {
      setsockopt(descriptor, level, option, $0.baseAddress, socklen_t($0.count))
    }
    guard status == 0 else { throw SystemError("setsockopt", code: errno) }
  }

  // MARK: Names

  /// Asks the system's resolver for the addresses of a host; blocks unless it reads only numeric addresses.
  ///
  /// - Returns: The addresses in the resolver's order, all with port 0.
  static func addresses(of host: String, onlyNumeric: Bool = false) throws(Resolver.Failure) -> [SocketAddress] {
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = onlyNumeric ? AI_NUMERICHOST : 0
    var list: UnsafeMutablePointer<addrinfo>?
    errno = 0
    let status = getaddrinfo(host, nil, &hints, &list)
    let code = errno
    guard status == 0 else { throw Resolver.Failure(host: host, status: status, errno: code) }
    defer { freeaddrinfo(list) }
    return sequence(first: list, next: { $0?.pointee.ai_next }).compactMap { entry in
      guard let entry, let address = entry.pointee.ai_addr else { return nil }
      return SocketAddress(address, length: entry.pointee.ai_addrlen)
    }
  }

  /// The code of a name that has no address.
  static var noAddress: Int32 { EAI_NONAME }

  /// The resolver's text for one of its codes.
  static func resolverText(_ code: Int32) -> String { String(cString: gai_strerror(code)) }

  /// The error of a connect that reached only itself.
  static var connectionRefused: SystemError { SystemError("connect", code: ECONNREFUSED) }
}

extension Resolver.Failure {
  /// Tells a failure of the process from one of the name.
  init(host: String, status: Int32, errno code: Int32) {
    switch status {
    case EAI_SYSTEM: self = .system(SystemError("getaddrinfo", code: code))
    case EAI_MEMORY: self = .system(SystemError("getaddrinfo", code: ENOMEM))
    default:
      // A resolver that cannot open `/etc/hosts` or a socket reports that the name does not exist, or to try again
      // later. Its answer about the name is then unreliable.
      let error = SystemError("getaddrinfo", code: code)
      self = error.isResourceShortage ? .system(error) : .resolution(ResolutionError(host: host, code: status))
    }
  }
}

extension SystemError {
  /// True if the process or the system ran out of something, so that the peer is not to blame.
  package var isResourceShortage: Bool {
    switch code {
    case EMFILE, ENFILE, ENOBUFS, ENOMEM: true
    // Too many descriptors are watched (`epoll(7)`).
    case ENOSPC: call == "epoll_ctl"
    // No more threads.
    case EAGAIN: call == "pthread_create"
    default: false
    }
  }
}
