internal import SidecarExecutor
internal import SidecarTransport
internal import SidecarProtocol

/// One WebSocket connection, from the look-up of the host's name to the closed descriptor. Never used for a second one.
///
/// An actor pinned to the sidecar's thread: its state can only be touched there, which the compiler checks. It is entered
/// in two ways, and both are already on the thread: from the event loop's callbacks, and from closures that are posted to
/// it. Neither is a task, and nothing here suspends; everything that waits is a timer or a descriptor of the loop.
///
/// What the other threads share with it stands in ``SharedConnectionState``.
actor Connection {
  /// How far the connection has come. Closing is a matter of the open phase: see `ClosingHandshake`.
  enum Phase {
    case idle(OpeningRequest)
    case connecting(OpeningRequest)
    case upgrading(OpeningResponseParser)
    case open
    /// Told to everyone, except that a sender still has the turn at the socket.
    case ending(CloseStatus)
    case ended
  }

  /// After the last Close frame the server has this long to end the stream before we do (RFC 6455 §7.1.1).
  static let endOfStreamGrace = Duration.seconds(1)
  /// How many times the read buffer is filled before other connections have their turn: 768 KiB, a quarter of a
  /// millisecond.
  static let readsPerTurn = 12
  /// What is delivered together at most, but for what one read brings. Each delivery wakes whoever waits; but more messages
  /// than these fall out of the cache before they are received.
  static let deliveredAtOnce = (messages: 8192, bytes: 768 << 10)
  /// How much is written before other connections have their turn.
  static let writtenPerTurn = 1 << 20

  nonisolated let thread: SidecarThread
  nonisolated let places: SharedConnectionState
  nonisolated let configuration: WebSocketConfiguration
  /// Kept after it is done: a look-up may go on.
  nonisolated let connector = Locked<Connector?>(nil)
  /// The host that the system's resolver is being asked for, until it answers.
  nonisolated var hostBeingResolved: String? { connector.withLock({ $0 })?.hostBeingResolved }

  let url: WebSocketURL
  // Unchecked, here and below: whatever could call back into the connection, while a message is received or a frame is
  // written, does so by posting to the thread. The checks would be a quarter of what a message costs that comes alone.
  @exclusivity(unchecked) var phase: Phase
  @exclusivity(unchecked) var socket: StreamSocket?
  @exclusivity(unchecked) var registration: EventLoop.Registration?
  /// The deadline of the phase, or of the closing handshake.
  var timer: TimerID?
  var timerDeadline = Deadline.never
  /// What the loop does when it ends before the connection does.
  var loopEndObserver: EventLoop.EndObserver?

  @exclusivity(unchecked) var receiver: MessageReceiver
  @exclusivity(unchecked) var inboxSink = InboxSink()
  /// Takes the messages in place of the inbox. Called with the sidecar, which it would otherwise have to retain.
  let handler: MessageHandler?
  weak var sidecar: WebSocketSidecar?
  var closing = ClosingHandshake(role: .client)
  /// What the system said when the stream broke.
  var streamError: SystemError?
  @exclusivity(unchecked) var readSpin = ReadSpin()
  /// The inbox is full: the socket is not read.
  @exclusivity(unchecked) var readingIsPaused = false
  /// What is being written. Not empty between turns only if the kernel took no more.
  @exclusivity(unchecked) var unsent = ByteBuffer()

  nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

  /// Makes a connection that does nothing yet.
  init(
    to url: WebSocketURL, request: OpeningRequest, configuration: WebSocketConfiguration, thread: SidecarThread,
    handler: MessageHandler?
  ) {
    self.url = url
    phase = .idle(request)
    self.configuration = configuration
    self.thread = thread
    self.handler = handler
    places = SharedConnectionState(configuration, thread: thread)
    receiver = MessageReceiver(role: .client, limits: configuration.limits)
  }

  /// Runs `body` on the connection's thread, soon; from any thread, in the order of the calls.
  nonisolated func post(_ body: @escaping @Sendable (isolated Connection) -> Void) {
    thread.post { self.onThread(body) { connection, body in body(connection) } }
  }

  /// Runs `body` now, for code that is on the connection's thread already, but that the compiler does not know to be.
  nonisolated func onThread<Argument>(_ argument: Argument, _ body: @escaping (isolated Connection, Argument) -> Void) {
    thread.isolated(to: self, argument, body)
  }

  /// Starts connecting on behalf of `sidecar`.
  func start(for sidecar: WebSocketSidecar?) {
    // Without a sidecar, its last reference has been dropped and the end is on its way.
    guard case .idle = phase, let sidecar else { return }
    self.sidecar = sidecar
    loopEndObserver = thread.loop.whenEnding { _ in self.onThread(()) { connection, _ in connection.abort() } }
    // A thread that has been told to stop takes no new connections.
    if loopEndObserver == nil { abort() } else { start() }
  }

  // MARK: Time

  /// Sets the connection's one timer: it gives up what it is doing at `deadline`. The loop holds the connection until then,
  /// or until ``finish(_:)``.
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

  /// The connection failed before it was open.
  func failOpening(_ error: WebSocketError) {
    finish(CloseStatus(code: .abnormalClosure, reason: "", initiator: .us, error: error))
  }

  /// Drops the connection, because the time for ending it properly is over.
  func abort() {
    switch phase {
    case .ending, .ended: return
    case .idle, .connecting, .upgrading: failOpening(.closed(nil))
    case .open:
      // If there has been no time even for a Close frame, one still goes ahead if the kernel takes it.
      if closing.canSend { perform(closing.sendClose(.goingAway)) }
      streamEnded(error: nil, giveUp: .timedOut(.closingHandshake))
    }
  }

  /// Ends the connection: the socket is closed and everyone told, in this order.
  func finish(_ status: CloseStatus) {
    switch phase {
    case .ending, .ended: return
    case .connecting: connector.withLock({ $0 })?.cancel()
    case .idle, .upgrading, .open: break
    }
    phase = .ending(status)
    cancelTimer()
    if let registration { thread.loop.deregister(registration) }
    registration = nil
    thread.loop.cancel(loopEndObserver)
    places.release(status)
    finishEnding()
  }

  /// Closes the socket, unless a sender is just writing to it: then it will ask for a flush, which comes back here.
  func finishEnding() {
    guard case .ending(let status) = phase, places.outbox.end(status.error ?? .closed(status)) else { return }
    phase = .ended
    // First where other threads find it: a shutdown that gives up would otherwise abort a descriptor that may be somebody
    // else's by now.
    places.outbox.closeSocket()
    socket?.close()
    socket = nil
    unsent.removeAll(keepingCapacityUpTo: 0)
    // A message may have been on its way.
    receiver = MessageReceiver(role: .client, limits: configuration.limits)
    configuration.onLog?(.connectionEnded(status))
    // Announced last: by now the descriptor is given back and every waiting call has been released.
    places.ended.complete(status)
  }
}

extension ClosePayload {
  /// What is said when the connection has served its purpose (RFC 6455 §7.4.1).
  static var normal: ClosePayload { (try? ClosePayload(.normalClosure)) ?? .empty }

  /// What is said when an endpoint goes away without time for more (RFC 6455 §7.4.1).
  static var goingAway: ClosePayload { (try? ClosePayload(.goingAway)) ?? .empty }
}
