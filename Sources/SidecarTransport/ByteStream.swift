public import SidecarExecutor

/// A connected stream of plaintext bytes.
///
/// The layers above count plaintext, and never ask what kind of stream they have. TLS will be a second case.
///
/// Only the sidecar's thread reads. Only the write owner writes, on any thread. ``abort()`` may be called at any time
/// on any thread.
@usableFromInline
package enum ByteStream: Sendable {
  case plain(StreamSocket)

  @inlinable
  var socket: StreamSocket {
    switch self {
    case .plain(let socket): socket
    }
  }

  // MARK: Transfer

  /// Reads what has arrived, as much as fits, without waiting.
  @inlinable
  package func read(into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
    switch self {
    case .plain(let socket): socket.read(into: buffer)
    }
  }

  /// Writes what is accepted now, without waiting.
  ///
  /// - Returns: ``IOResult/bytes(_:)`` with how many of the caller's bytes were accepted; these need not be passed
  ///   again.
  @inlinable
  package func write(_ bytes: UnsafeRawBufferPointer) -> IOResult {
    switch self {
    case .plain(let socket): socket.write(bytes)
    }
  }

  /// Writes on a thread other than the sidecar's, if that is possible without waiting for the sidecar's thread.
  ///
  /// - Returns: What ``write(_:)`` returns, or nil if the sidecar's thread has to write: over TLS it may be using the
  ///   session.
  @inlinable
  package func writeInline(_ bytes: UnsafeRawBufferPointer) -> IOResult? {
    switch self {
    case .plain(let socket): socket.write(bytes)
    }
  }

  /// Whether ``writeInline(_:)`` may write something. If false, do not try to become the write owner. A hint.
  @inlinable
  package var mayWriteInline: Bool {
    switch self {
    case .plain: true
    }
  }

  // MARK: Polling

  /// True if input is here that the poller cannot see. Ask before sleeping after an incomplete read, and after a pause.
  @inlinable
  package var hasBufferedInput: Bool {
    switch self {
    case .plain: false
    }
  }

  /// Returns what to poll for: over TLS, reading may need the socket to become writable, and the other way round.
  ///
  /// - Parameters:
  ///   - reading: Whether the caller wants to read.
  ///   - writing: Whether the caller has bytes to write.
  @inlinable
  package func interest(reading: Bool, writing: Bool) -> Readiness {
    switch self {
    case .plain:
      var interest: Readiness = []
      if reading { interest.insert(.readable) }
      if writing { interest.insert(.writable) }
      return interest
    }
  }

  /// What the poller watches.
  @inlinable
  package var descriptor: Int32 { socket.descriptor }

  // MARK: Ending

  /// Ends our half of the stream: the peer reads a clean end after what was written.
  package func shutdownWrite() {
    switch self {
    case .plain(let socket): socket.shutdownWrite()
    }
  }

  /// Makes every read and write fail or end from now on; the descriptor stays open. Any thread; nothing after
  /// ``close()``.
  package func abort() { socket.abort() }

  /// Makes the coming ``close()`` send a reset instead of delivering bytes that will not be read.
  package func resetOnClose() { socket.resetOnClose() }

  /// Closes the descriptor; harmless when repeated. No thread may be reading or writing.
  package func close() { socket.close() }

  /// Takes the error that ended the stream, if the system holds one; what arrived before can still be read.
  package func takePendingError() -> SystemError? { socket.takePendingError() }

  // MARK: Addresses

  /// The address of this end.
  package var localAddress: SocketAddress? { socket.localAddress }

  /// The address of the peer.
  package var remoteAddress: SocketAddress? { socket.remoteAddress }
}
