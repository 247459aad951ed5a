internal import SidecarExecutor
internal import SidecarTransport

/// The socket that a server's clients connect to: a loopback port, or a Unix-domain socket. Closed with its last
/// reference, which also removes the file of a Unix-domain socket.
final class ServerListener: Sendable {
  private let socket: ListeningSocket

  /// What clients connect to.
  let endpoint: WebSocketEndpoint

  var descriptor: Int32 { socket.descriptor }
  var address: SocketAddress { socket.address }

  /// The port; 0 for a Unix-domain socket.
  var port: UInt16 { socket.address.port }

  /// The URL of the server. That of a Unix-domain socket reaches it only together with ``endpoint``.
  var url: String {
    switch endpoint {
    case .tcp: "ws://\(endpoint)/"
    case .unix: "ws://localhost/"
    }
  }

  /// Binds a port of the loopback interface.
  ///
  /// - Parameter port: 0 lets the system choose one.
  /// - Throws: The error of the system call that failed.
  init(_ loopback: TestServer.Options.Loopback, port: UInt16) throws(SystemError) {
    socket = try ListeningSocket(boundTo: .loopback(loopback == .ipv4 ? .ipv4 : .ipv6, port: port))
    endpoint = .tcp(host: loopback == .ipv4 ? "127.0.0.1" : "::1", port: socket.address.port)
  }

  /// Binds a Unix-domain socket.
  ///
  /// - Parameter path: A path, or an abstract name; see `WebSocketEndpoint.unix(path:)`. Traps if it cannot be a name.
  /// - Throws: The error of the system call that failed.
  init(unixPath path: String) throws(SystemError) {
    socket = try ListeningSocket(boundTo: .unix(Self.name(path)))
    endpoint = .unix(path: path)
  }

  /// Binds what the options say.
  convenience init(_ options: TestServer.Options) throws(SystemError) {
    if let path = options.unixPath {
      try self.init(unixPath: path)
    } else {
      try self.init(options.loopback, port: options.port)
    }
  }

  private static func name(_ path: String) -> UnixSocketName {
    do throws(EndpointError) {
      return try UnixSocketName(path)
    } catch {
      preconditionFailure("A server cannot listen on the unixPath \(path.debugDescription): \(error).")
    }
  }

  /// Lets clients connect.
  ///
  /// - Parameter backlog: The connections that the system keeps until they are accepted; it keeps one more.
  func listen(backlog: Int32 = ListeningSocket.largeBacklog) throws(SystemError) {
    try socket.listen(backlog: backlog)
  }

  /// Sets the sizes of the buffers, which accepted sockets inherit. Call it before ``listen(backlog:)``.
  ///
  /// - Parameters:
  ///   - receive: Bytes of the receive buffer; nil leaves it as it is.
  ///   - send: Bytes of the send buffer; nil leaves it as it is.
  func setBuffers(receive: Int?, send: Int?) throws(SystemError) {
    try socket.setBuffers(receive: receive, send: send)
  }

  /// Accepts a connection, without blocking.
  ///
  /// - Returns: Its descriptor, which the caller owns; nil if no connection is waiting.
  func accept() throws(SystemError) -> Int32? {
    try socket.accept()
  }
}
