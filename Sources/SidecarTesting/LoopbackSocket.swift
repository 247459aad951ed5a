internal import SidecarExecutor
internal import SidecarTransport

/// A socket that is bound to a port of the loopback interface; closed with its last reference.
final class LoopbackSocket: Sendable {
  /// Enough for any burst of clients; the system cuts it to what it allows.
  static let largeBacklog = ListeningSocket.largeBacklog

  private let socket: ListeningSocket
  private let loopback: TestServer.Options.Loopback

  var descriptor: Int32 { socket.descriptor }
  var address: SocketAddress { socket.address }
  var port: UInt16 { socket.address.port }

  /// The URL of a server on this port.
  var url: String { loopback == .ipv4 ? "ws://127.0.0.1:\(port)/" : "ws://[::1]:\(port)/" }

  /// Binds a new, non-blocking socket; port 0 lets the system choose.
  init(_ loopback: TestServer.Options.Loopback, port: UInt16) throws(SystemError) {
    self.loopback = loopback
    socket = try ListeningSocket(boundTo: .loopback(loopback == .ipv4 ? .ipv4 : .ipv6, port: port))
  }

  /// Lets clients connect; the system keeps `backlog` of them for us, and one more.
  func listen(backlog: Int32) throws(SystemError) {
    try socket.listen(backlog: backlog)
  }

  /// Sets the sizes of the buffers, which the accepted sockets inherit. Has an effect before ``listen(backlog:)`` only.
  func setBuffers(receive: Int?, send: Int?) throws(SystemError) {
    try socket.setBuffers(receive: receive, send: send)
  }

  /// Accepts a connection, which does not block; nil if none waits.
  func accept() throws(SystemError) -> Int32? {
    try socket.accept()
  }
}
