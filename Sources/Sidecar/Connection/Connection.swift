internal import SidecarExecutor
internal import SidecarProtocol
internal import SidecarTransport

/// Runs a WebSocket connection, from the look-up of the host's name to the closed descriptor. One object per
/// connection.
///
/// It moves bytes and time between a `ByteStream` and a `WebSocketConnection`, which decides what they mean. An actor
/// pinned to the sidecar's thread: the compiler checks that its state is touched only there. It is entered from the
/// event loop's callbacks and from posted closures, both already on the thread. Nothing here suspends. To wait, it sets
/// a timer or watches a descriptor.
///
/// What other threads share with it is in ``SharedConnectionState``.
actor Connection {
  /// How far the connection has come. The protocol's own states are in `WebSocketConnection`.
  enum Phase {
    case idle(OpeningRequest)
    case connecting(Connector, OpeningRequest)

    /// There is a stream: the handshake, messages, closing.
    case connected(ByteStream)

    /// All waits have ended, but a sender still writes to the stream.
    case ending(ByteStream?, CloseStatus)
    case ended
  }

  /// After the last Close frame the server has this long to end the stream before the client does (RFC 6455 §7.1.1).
  static let endOfStreamGrace = Duration.seconds(1)

  nonisolated let thread: SidecarThread
  nonisolated let shared: SharedConnectionState
  nonisolated let configuration: WebSocketConfiguration
  /// The connector until there is a stream, for other threads: the shutdown report asks for the host being looked up.
  nonisolated let connector = Locked<Connector?>(nil)
  let endpoint: Endpoint

  // Exclusivity checks are off: code that could re-enter the connection while it reads or writes posts to the thread
  // instead. The checks were a quarter of the cost of a message that comes alone.
  @exclusivity(unchecked) var phase: Phase
  @exclusivity(unchecked) var protocolState: WebSocketConnection
  @exclusivity(unchecked) var registration: EventLoop.Registration?
  @exclusivity(unchecked) var reader = ReadState()
  @exclusivity(unchecked) var readSpin = ReadSpin()
  @exclusivity(unchecked) var inboxSink = InboxSink()
  /// What is being written. Empty between turns, unless the kernel's buffer is full.
  @exclusivity(unchecked) var unsent = ByteBuffer()
  /// How many Pongs the read turn has queued. They are written at its end, or when there are many.
  @exclusivity(unchecked) var unflushedPongs = 0

  /// The deadline of the current step.
  private var timer: TimerID?
  private(set) var timerDeadline = Deadline.never
  /// What the loop calls if it ends before the connection does.
  private var loopEndObserver: EventLoop.EndObserver?

  /// Takes the messages in place of the inbox. Gets the sidecar as an argument, so that it need not capture it.
  let handler: MessageHandler?
  weak var sidecar: WebSocketSidecar?
  /// Why the stream broke, if it did.
  var streamError: SystemError?

  nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

  /// Makes a connection that does nothing yet.
  init(
    to endpoint: Endpoint, request: OpeningRequest, configuration: WebSocketConfiguration, thread: SidecarThread,
    handler: MessageHandler?
  ) {
    self.endpoint = endpoint
    phase = .idle(request)
    protocolState = WebSocketConnection(request: request, limits: configuration.limits)
    self.configuration = configuration
    self.thread = thread
    self.handler = handler
    shared = SharedConnectionState(configuration, thread: thread)
  }

  /// Runs `body` on the connection's thread, soon; from any thread, in the order of the calls.
  nonisolated func post(_ body: @escaping @Sendable (isolated Connection) -> Void) {
    thread.post { self.onThread(body) { connection, body in body(connection) } }
  }

  /// Runs `body` now, for code that is on the connection's thread without the compiler knowing.
  nonisolated func onThread<Argument>(_ argument: Argument, _ body: @escaping (isolated Connection, Argument) -> Void) {
    thread.isolated(to: self, argument, body)
  }

  /// Starts connecting on behalf of `sidecar`.
  func start(for sidecar: WebSocketSidecar?) {
    // Without a sidecar, its last reference has been dropped, and its shutdown has been requested.
    guard case .idle = phase, let sidecar else { return }
    self.sidecar = sidecar
    loopEndObserver = thread.loop.whenEnding { failure in
      self.onThread(failure) { connection, failure in connection.threadEnds(because: failure) }
    }
    // A thread that was asked to stop takes no new connections.
    if loopEndObserver == nil { abort(.threadEnded) } else { connect() }
  }

  /// Ends the connection and the sidecar with their thread, which was asked to stop or can no longer poll.
  private func threadEnds(because failure: SystemError?) {
    abort(failure.map { .systemResources($0) } ?? .threadEnded)
    sidecar?.coordinator.request(bound: .zero, keepingUnread: true, payload: .goingAway)
  }

  // MARK: Time

  /// Sets the connection's one timer: `action` gives up the current step at `deadline`.
  ///
  /// The loop retains the connection until then, or until ``endConnection(_:)``.
  func setTimer(_ deadline: Deadline, _ action: @escaping @Sendable (isolated Connection) -> Void) {
    thread.loop.cancel(timer)
    timerDeadline = deadline
    timer = thread.loop.schedule(at: deadline) {
      self.onThread(action) { connection, action in
        connection.timer = nil
        action(connection)
      }
    }
  }

  func cancelTimer() {
    thread.loop.cancel(timer)
    timer = nil
    timerDeadline = .never
  }

  // MARK: The end
  //
  //   called by                                     step
  //   ────────────────────────────────────────────  ────────────────────────────────────────────────────────────────
  //   close, abort, the peer's Close, a violation   carryOut: sends our Close frame, sets a deadline
  //                                                     ▼
  //   the peer's end of the stream, an error,       streamEnded: asks the protocol how the connection ended
  //   a deadline, abort, close in the handshake         ▼
  //   failConnecting (there is no stream yet)       endConnection: stops polling, releases the waiting calls
  //                                                     ▼
  //   flush (a sender has finished its last write)  closeStreamWhenUnowned: closes the stream, completes `closed`
  //
  // `shared.release` releases the waiting calls: in `carryOut` once the close status is settled, otherwise in
  // `endConnection`. `threadEnds` calls `abort`.

  /// Ends a connection that has no stream yet.
  func failConnecting(_ error: WebSocketError) {
    endConnection(closeStatus(.abandoned, because: error))
  }

  /// Drops the connection without waiting for the peer, because of `reason`.
  func abort(_ reason: WebSocketError) {
    switch phase {
    case .ending, .ended: return
    case .idle, .connecting: failConnecting(reason)
    case .connected:
      // The kernel may still take a Close frame.
      if protocolState.canSend { carryOut(protocolState.close(.goingAway)) }
      streamEnded(.byUs, because: reason)
    }
  }

  /// Ends the connection: releases the waiting calls, then closes the stream.
  func endConnection(_ status: CloseStatus) {
    let stream: ByteStream?
    switch phase {
    case .ending, .ended: return
    case .idle: stream = nil
    case .connecting(let connector, _):
      connector.cancel()
      stream = nil
    case .connected(let connected): stream = connected
    }
    let status = shared.release(status)
    phase = .ending(stream, status)
    cancelTimer()
    stopPolling()
    thread.loop.cancel(loopEndObserver)
    closeStreamWhenUnowned()
  }

  /// Closes the stream, unless a sender is writing to it: it requests a flush when it is done, which comes back here.
  func closeStreamWhenUnowned() {
    guard case .ending(let stream, let status) = phase, shared.sendQueue.end(status.error ?? .closed(status)) else {
      return
    }
    phase = .ended
    stream?.close()
    discardPendingInput()
    unsent.removeAll(keepingCapacityUpTo: 0)
    configuration.onLog?(.connectionEnded(status))
    // Last: by now the descriptor is given back and every waiting call has been released.
    shared.closed.complete(status)
  }

  /// Stops watching the stream.
  func stopPolling() {
    if let registration { thread.loop.deregister(registration) }
    registration = nil
  }
}
