internal import CSidecarSystem
internal import Glibc
package import SidecarExecutor
internal import Synchronization

/// What became of a read or a write that does not wait.
package enum IOResult: Sendable, Hashable {
  /// So many bytes were moved, at least one.
  case bytes(Int)
  /// Nothing can be moved now; the poller will tell when.
  case wouldBlock
  /// The peer has ended its half of the stream (reads only).
  case endOfStream
  case failed(SystemError)
}

/// A connected TCP socket that never blocks.
///
/// Reads belong to the sidecar thread. Writes belong to whoever holds the outbox's turn, on any thread; the outbox also
/// sees to it that nobody writes when the socket is closed.
package final class StreamSocket: Sendable {
  package let descriptor: Int32
  private let isOpen = Atomic(true)

  /// Takes ownership of a connected, non-blocking socket.
  package init(owning descriptor: Int32) {
    self.descriptor = descriptor
    LiveCounters.connections.increment()
    // Small frames go out when they are written; the outbox does the batching.
    var on: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
  }

  deinit {
    close()
  }

  package var localAddress: SocketAddress? { SocketAddress(of: descriptor, peer: false) }
  package var remoteAddress: SocketAddress? { SocketAddress(of: descriptor, peer: true) }

  /// The receive buffer of a connection within one machine: the kernel takes twice as much, for its book-keeping.
  ///
  /// By itself it would let the buffer grow to tens of megabytes, as if there were a distance to bridge: what is read then
  /// has long left the processor's cache, and takes up to twice as long. Smaller ones make the two ends wait for each other.
  package static let sameHostReceiveBuffer: Int32 = 224 * 1024

  /// Keeps what is on its way small, because the peer is on this machine.
  package func limitReceiveBuffer() {
    var size = StreamSocket.sameHostReceiveBuffer
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
  }

  /// Reads what has arrived, as far as it fits.
  package func read(into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
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

  /// Writes as much as the kernel takes.
  package func write(_ bytes: UnsafeRawBufferPointer) -> IOResult {
    while true {
      let count = send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
      if count >= 0 { return .bytes(count) }
      switch errno {
      case EINTR: continue
      case EAGAIN: return .wouldBlock
      case let code: return .failed(SystemError("send", code: code))
      }
    }
  }

  /// Ends our half of the stream; the peer reads an end of stream behind what was written.
  package func shutdownWrite() {
    shutdown(descriptor, Int32(SHUT_WR))
  }

  /// Makes the coming ``close()`` send a reset instead of lingering over bytes that nobody will read.
  package func resetOnClose() {
    var option = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
  }

  /// Makes every read and write fail from now on, without giving the descriptor back yet.
  package func abort() {
    shutdown(descriptor, Int32(SHUT_RDWR))
  }

  /// Gives the descriptor back; harmless when repeated.
  package func close() {
    guard isOpen.exchange(false, ordering: .acquiringAndReleasing) else { return }
    Glibc.close(descriptor)
    LiveCounters.connections.decrement()
  }

  /// The error that a pending connect ended with, or nil if it succeeded.
  static func pendingError(of descriptor: Int32) -> SystemError? {
    var code: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    guard getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length) == 0 else {
      return SystemError("getsockopt", code: errno)
    }
    return code == 0 ? nil : SystemError("connect", code: code)
  }
}
