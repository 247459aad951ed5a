package import SidecarExecutor

/// A socket that others connect to; closed with its last reference. For servers of tests: a client has no use for it.
package final class ListeningSocket: Sendable {
  /// Enough for any burst of clients; the system cuts it to what it allows.
  package static let largeBacklog: Int32 = 4096

  package let descriptor: Int32
  /// The address that the socket is bound to.
  package let address: SocketAddress

  /// Binds a new socket. No peer can connect before ``listen(backlog:)``.
  ///
  /// - Parameter address: With port 0 the system chooses a port. The file of a Unix-domain socket is made here, and
  ///   removed with the last reference.
  package init(boundTo address: SocketAddress) throws(SystemError) {
    descriptor = try SocketCalls.open(address.family)
    do throws(SystemError) {
      // Connections in TIME_WAIT keep a port from a server that restarts on it, unless both servers set this.
      try SocketCalls.allowAddressReuse(descriptor)
      try SocketCalls.bind(descriptor, to: address)
    } catch {
      SocketCalls.close(descriptor)
      throw error
    }
    self.address = SocketCalls.localAddress(of: descriptor) ?? address
  }

  deinit {
    SocketCalls.close(descriptor)
    if case .unix(let name) = address { SocketCalls.unlink(name) }
  }

  /// Lets clients connect.
  ///
  /// - Parameter backlog: How many connections the system keeps until they are accepted; it keeps one more.
  package func listen(backlog: Int32 = ListeningSocket.largeBacklog) throws(SystemError) {
    try SocketCalls.listen(descriptor, backlog: backlog)
  }

  /// Sets the sizes of the buffers, which accepted sockets inherit. Has an effect before ``listen(backlog:)`` only.
  ///
  /// - Parameters:
  ///   - receive: Bytes of the receive buffer; nil leaves it as it is.
  ///   - send: Bytes of the send buffer; nil leaves it as it is.
  package func setBuffers(receive: Int?, send: Int?) throws(SystemError) {
    if let receive { try SocketCalls.setReceiveBuffer(descriptor, to: Int32(clamping: receive)) }
    if let send { try SocketCalls.setSendBuffer(descriptor, to: Int32(clamping: send)) }
  }

  /// Accepts a connection, which does not block.
  ///
  /// - Returns: Its descriptor, which the caller owns; nil if no connection is waiting.
  package func accept() throws(SystemError) -> Int32? {
    try SocketCalls.accept(descriptor)
  }
}
