public import SidecarExecutor

/// What one read or write did, which never waits.
@usableFromInline
package enum IOResult: Hashable, Sendable {
  /// This many bytes were moved.
  case bytes(Int)
  /// Nothing can be moved now; the poller will tell when.
  case wouldBlock
  /// The peer has ended its half of the stream, in the way that its protocol requires (reads only).
  case endOfStream
  /// The stream ended, but not in the way that its protocol requires, such as TLS without close_notify (reads only).
  case truncated
  case failed(SystemError)
}

/// A connected TCP or Unix-domain socket that never blocks, and the one owner of its descriptor.
///
/// ``abort()`` may be called at any time on any thread, ``close()`` too. Everything else touches the descriptor without
/// a lock: one thread reads, one thread at a time writes, and the caller makes sure that neither happens during or
/// after ``close()``.
@usableFromInline
package final class StreamSocket: Sendable {
  @usableFromInline package let descriptor: Int32
  /// Guards the descriptor against an ``abort()`` that comes too late.
  private let isOpen = Locked(true)

  /// Takes ownership of the descriptor of a connected, non-blocking socket.
  package init(owning descriptor: Int32) {
    self.descriptor = descriptor
    LiveCounters.connections.increment()
    // Nagle is off, because the layers above already batch frames.
    SocketCalls.disableNagle(descriptor)
  }

  deinit {
    close()
  }

  /// Takes the error that ended the connection, if the system holds one. Reading would deliver it only after everything
  /// that arrived before.
  package func takePendingError() -> SystemError? { SocketCalls.pendingError(of: descriptor, in: "recv") }

  /// The address of this end.
  package var localAddress: SocketAddress? { SocketCalls.localAddress(of: descriptor) }

  /// The address of the peer.
  package var remoteAddress: SocketAddress? { SocketCalls.remoteAddress(of: descriptor) }

  /// The receive buffer of a TCP connection within one machine, in bytes; the kernel reserves twice as much.
  ///
  /// By itself the kernel lets the buffer grow to tens of megabytes, as for a long-distance connection. What is read
  /// then has left the processor's cache, and takes up to twice as long. Smaller buffers make the two ends wait for
  /// each other.
  package static let sameHostReceiveBuffer: Int32 = 224 * 1024

  /// Limits the receive buffer, because the peer is on this machine.
  package func limitReceiveBuffer() {
    try? SocketCalls.setReceiveBuffer(descriptor, to: StreamSocket.sameHostReceiveBuffer)
  }

  /// Reads what has arrived, as much as fits.
  @usableFromInline
  package func read(into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
    SocketCalls.receive(descriptor, into: buffer)
  }

  /// Writes as much as the kernel takes.
  @usableFromInline
  package func write(_ bytes: UnsafeRawBufferPointer) -> IOResult {
    SocketCalls.send(descriptor, bytes)
  }

  /// Ends our half of the stream: the peer reads the end after what was written.
  package func shutdownWrite() {
    SocketCalls.shutdownWrite(descriptor)
  }

  /// Makes the coming ``close()`` send a reset instead of delivering bytes that will not be read.
  package func resetOnClose() {
    SocketCalls.resetOnClose(descriptor)
  }

  /// Makes every read and write fail or end from now on; the descriptor stays open. Does nothing after ``close()``.
  package func abort() {
    // `shutdown(2)` does not wait, so it may be called while holding the lock.
    isOpen.withLock { isOpen in
      if isOpen { SocketCalls.shutdownBoth(descriptor) }
    }
  }

  /// Gives the descriptor back; harmless when repeated.
  package func close() {
    let mustClose = isOpen.withLock { isOpen in
      defer { isOpen = false }
      return isOpen
    }
    guard mustClose else { return }
    SocketCalls.close(descriptor)
    LiveCounters.connections.decrement()
  }
}
