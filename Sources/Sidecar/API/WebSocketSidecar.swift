public import SidecarExecutor
public import SidecarProtocol

/// Takes a message on the sidecar's thread, where it lies in the read buffer.
///
/// `bytes` is valid only during the call, which the compiler checks; text is valid UTF-8. The fastest way to receive:
/// nothing is copied, allocated or handed over, if the message lies whole and uncompressed in a read. Until it returns, the sidecar can't read or write, nor can any other on
/// the same thread: keep it short, and never block in it. Answer with ``WebSocketSidecar/trySend(_:_:)``. It is not called
/// any more once a shutdown has been requested.
public typealias MessageHandler =
  @Sendable (_ sidecar: WebSocketSidecar, _ kind: MessageKind, _ bytes: RawSpan) -> Void

/// A WebSocket connection that is run by a thread of its own.
///
/// ```swift
/// let sidecar = try await WebSocketSidecar.connect(to: "ws://localhost:9000/feed")
/// try await sidecar.send("subscribe")
/// for await message in sidecar.messages { print(message) }
/// print(await sidecar.shutdown(within: .seconds(5)))
/// ```
///
/// The sidecar is an actor on its own thread, which also runs the socket. None of the calls below hops there: sending
/// and receiving happen on the caller's side of two bounded queues. To run code of your own on the thread, see
/// ``run(_:)``.
///
/// Always end a sidecar with ``shutdown(within:keepingUnread:)``, or use ``withWebSocketSidecar(_:configuration:shutdownWithin:_:)``,
/// which does. Dropping the last reference also closes the socket and ends the thread, but without waiting for the peer.
///
/// Everything can be called from any task and any thread, at any time. Every call ends. On a sidecar that is closing or closed,
/// work fails with ``WebSocketError/closed(_:)``, or with what ended the connection; receiving ends, and closing and shutting down
/// return how it ended.
public actor WebSocketSidecar {
  /// The thread that runs the sidecar. Actors of your own can be pinned to it too.
  public nonisolated let thread: SidecarThread

  nonisolated let connection: Connection
  nonisolated let tasks = TaskRegistry()
  nonisolated let coordinator: ShutdownCoordinator

  // What every message passes stands here once more: reaching it through the places costs more than using it.
  @usableFromInline nonisolated let inbox: Inbox
  nonisolated let outbox: Outbox

  nonisolated var places: SharedConnectionState { connection.places }

  /// Pins the actor to its thread.
  public nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

  /// Starts a thread, and connecting, and returns without waiting for either.
  ///
  /// Use it where the connection has to be observed, or shut down, while it is being made; otherwise use
  /// ``connect(to:configuration:on:handler:)``. Sends wait until the connection is open.
  ///
  /// Where the sidecar has a thread of its own and the host is an address, the first system calls of connecting are made here,
  /// while there is no thread yet; none of them waits. With `sharedThread`, the sidecar shares that thread with whatever else runs on
  /// it, and the thread goes on when the sidecar ends. With `handler`, messages are handed to it on the thread, and there is nothing to receive elsewhere.
  ///
  /// Throws ``WebSocketError/invalidURL(_:reason:)``, ``WebSocketError/invalidConfiguration(reason:)`` or
  /// ``WebSocketError/systemResources(_:)``.
  public init(
    _ url: String, configuration: WebSocketConfiguration = .init(), on sharedThread: SidecarThread? = nil,
    handler: MessageHandler? = nil
  ) throws(WebSocketError) {
    try configuration.validate()
    let url = try WebSocketURL(url)
    let request = try configuration.request(to: url)
    do throws(SystemError) {
      if let sharedThread {
        thread = sharedThread
      } else {
        thread = try SidecarThread(unstarted: configuration.threadName)
      }
    } catch {
      throw .systemResources(error)
    }
    connection = Connection(
      to: url, request: request, configuration: configuration, thread: thread, handler: handler)
    inbox = connection.places.inbox
    outbox = connection.places.outbox
    coordinator = ShutdownCoordinator(
      connection: connection, thread: thread, ownsThread: sharedThread == nil, tasks: tasks)
    if sharedThread != nil {
      LiveCounters.sidecars.increment()
      connection.post { [weak self] in $0.start(for: self) }
      return
    }
    // The server is asked first: it answers while the system makes the thread.
    thread.beforeStart { connection.onThread(self) { $0.start(for: $1) } }
    do throws(SystemError) {
      try thread.start()
    } catch {
      coordinator.abandonBeforeStart()
      throw .systemResources(error)
    }
    LiveCounters.sidecars.increment()
  }

  deinit {
    // The last reference may be dropped anywhere, on the sidecar's own thread too: ask for the end, wait for nothing.
    coordinator.request(bound: .zero, keepingUnread: false, payload: .goingAway)
  }

  // MARK: Connecting

  /// Connects to a `ws` URL, and returns when the connection is open.
  ///
  /// Tries every address of the host (RFC 8305) and performs the opening handshake (RFC 6455 §4.1), each step within its
  /// time in the configuration. If that fails, or the task is cancelled, everything is cleaned up before the error is
  /// thrown, for which there is 1 s; only a look-up that hangs may go on. For `sharedThread` and `handler` see
  /// ``init(_:configuration:on:handler:)``.
  ///
  /// Throws a ``WebSocketError`` that says which step failed and why.
  public static func connect(
    to url: String, configuration: WebSocketConfiguration = .init(), on sharedThread: SidecarThread? = nil,
    handler: MessageHandler? = nil
  ) async throws(WebSocketError) -> WebSocketSidecar {
    let sidecar = try WebSocketSidecar(url, configuration: configuration, on: sharedThread, handler: handler)
    do {
      try await sidecar.connected()
      return sidecar
    } catch {
      await sidecar.shutdown(within: .seconds(1))
      throw error
    }
  }

  /// Waits until the connection is open; returns at once if it is, or was.
  ///
  /// Throws the error that connecting failed with, ``WebSocketError/closed(_:)`` if the sidecar was ended before, or
  /// ``WebSocketError/cancelled``.
  public nonisolated func connected() async throws(WebSocketError) {
    _ = try await opening(until: .never)
  }

  private nonisolated func opening(
    until deadline: Deadline, for purpose: WebSocketError.TimeoutPhase = .send
  ) async throws(WebSocketError) -> SharedConnectionState.Opening {
    switch await places.opened.value(until: deadline) {
    case .value(let result): return try result.get()
    case .timedOut: throw .timedOut(purpose)
    case .cancelled: throw .cancelled
    }
  }

  /// The subprotocol that the server chose among the offered ones; nil if it chose none, or before the connection is
  /// open (RFC 6455 §1.9).
  public nonisolated var subprotocol: String? { (try? places.opened.current?.get())?.subprotocol }

  /// The server's numeric address and port, such as `[::1]:9000`; nil before the connection is open.
  public nonisolated var remoteAddress: String? {
    (try? places.opened.current?.get())?.remoteAddress?.description
  }

  // MARK: Sending

  /// Sends a message (RFC 6455 §6.1).
  ///
  /// Returns when the message is in the outbound queue, in the order of the calls; the sidecar writes it. Suspends while
  /// ``WebSocketConfiguration/outboundCapacity`` bytes wait to be written, at most for `timeout` (default: as long as it
  /// takes, the sidecar's life at most). With `compress` false, the message is not compressed even where that was
  /// agreed on: for what does not shrink, or must not be guessed from its size.
  ///
  /// Throws ``WebSocketError/timedOut(_:)`` or ``WebSocketError/cancelled`` (then the message was not queued),
  /// ``WebSocketError/closed(_:)``, or what ended the connection.
  public nonisolated func send(
    _ message: WebSocketMessage, compress: Bool = true, timeout: Duration? = nil
  ) async throws(WebSocketError) {
    switch outbox.send(message, compress: compress, orWait: nil) {
    case .admitted: return
    case .failed(let error): throw error
    case .notOpen, .full: try await sendWaiting(message, compress: compress, until: .after(timeout))
    }
  }

  private nonisolated func sendWaiting(
    _ message: WebSocketMessage, compress: Bool, until deadline: Deadline
  ) async throws(WebSocketError) {
    while true {
      switch outbox.send(message, compress: compress, orWait: nil) {
      case .admitted: return
      case .failed(let error): throw error
      case .notOpen: _ = try await opening(until: deadline)
      case .full:
        let room = Promise<Void>()
        switch outbox.send(message, compress: compress, orWait: room) {
        case .admitted: return
        case .failed(let error): throw error
        case .notOpen: continue
        case .full:
          let result = await room.value(until: deadline)
          if case .value = result { continue }
          _ = outbox.withdraw(room)
          if case .cancelled = result { throw .cancelled }
          throw .timedOut(.send)
        }
      }
    }
  }

  /// Sends a text message; see ``send(_:compress:timeout:)-(WebSocketMessage,_,_)``.
  public nonisolated func send(
    _ text: String, compress: Bool = true, timeout: Duration? = nil
  ) async throws(WebSocketError) {
    try await send(.text(text), compress: compress, timeout: timeout)
  }

  /// Sends a binary message of a copy of `bytes`; see ``send(_:compress:timeout:)-(WebSocketMessage,_,_)``.
  public nonisolated func send(
    _ bytes: [UInt8], compress: Bool = true, timeout: Duration? = nil
  ) async throws(WebSocketError) {
    try await send(.binary(WebSocketPayload(bytes)), compress: compress, timeout: timeout)
  }

  /// Sends a message if that is possible without waiting: from a message handler, or any code that is not asynchronous.
  ///
  /// Returns false, and sends nothing, when the outbound queue is full or the connection is not open yet. Throws
  /// ``WebSocketError/closed(_:)`` or what ended the connection.
  public nonisolated func trySend(_ message: WebSocketMessage) throws(WebSocketError) -> Bool {
    try outbox.send(message, orWait: nil).wasAdmitted()
  }

  /// Sends a copy of `bytes` as a message if that is possible without waiting; see ``trySend(_:)``.
  ///
  /// Throws ``WebSocketError/invalidText(offset:)`` too, if it is to be text and is not UTF-8.
  public nonisolated func trySend(_ kind: MessageKind, _ bytes: RawSpan) throws(WebSocketError) -> Bool {
    let outbox = outbox
    return try bytes.withUnsafeBytes { bytes throws(WebSocketError) in
      if kind == .text {
        var validator = UTF8Validator()
        let invalid = validator.validate(bytes) ?? (validator.isComplete ? nil : bytes.count)
        if let invalid { throw .invalidText(offset: invalid) }
      }
      return outbox.send(kind, bytes, orWait: nil)
    }.wasAdmitted()
  }

  /// Sends a Ping and returns how long the Pong took (RFC 6455 §5.5.2).
  ///
  /// `payload` has at most 125 bytes; by default it is one that no other Ping of this process has. Waits at most for
  /// `timeout` (default: as long as the connection lives), for the connection to open too.
  ///
  /// Throws ``WebSocketError/pingTooLong(byteCount:)``, ``WebSocketError/timedOut(_:)``, ``WebSocketError/cancelled``,
  /// ``WebSocketError/closed(_:)`` or what ended the connection.
  @discardableResult
  public nonisolated func ping(
    _ payload: [UInt8]? = nil, timeout: Duration? = nil
  ) async throws(WebSocketError) -> Duration {
    let payload = try PendingPings.payload(payload)
    let deadline = Deadline.after(timeout)
    if places.opened.current == nil { _ = try await opening(until: deadline, for: .pong) }
    let answer = postPing(payload)
    switch await answer.value(until: deadline) {
    case .value(let result): return try result.get()
    case .timedOut:
      places.pings.forget(answer)
      throw .timedOut(.pong)
    case .cancelled:
      places.pings.forget(answer)
      throw .cancelled
    }
  }

  nonisolated func postPing(_ payload: WebSocketPayload) -> PendingPings.Answer {
    let answer = PendingPings.Answer()
    places.pings.expect(payload, answer: answer)
    connection.post { $0.sendPing(payload) }
    return answer
  }

  // MARK: Receiving

  /// The messages, as a stream that ends when the connection does; ``closeStatus`` then says how.
  ///
  /// A pull: nothing is read from the network that nobody asks for, beyond
  /// ``WebSocketConfiguration/inboundCapacity``. Each message is delivered once, to whoever asks first, so several
  /// streams share the messages. Ends early when the iterating task is cancelled. ``inbound`` is faster, and throws what
  /// ended the connection.
  public nonisolated var messages: AsyncStream<WebSocketMessage> {
    AsyncStream {
      if let message = self.inbox.nextAtFront() { return message }
      guard case .message(let message) = await self.inbox.next(until: .never) else { return nil }
      return message
    }
  }

  /// The messages, as a sequence that throws what ended the connection, if that was not in order.
  public nonisolated var inbound: InboundMessages { InboundMessages(self) }

  /// Receives the next message; nil when the connection has ended in order (see ``CloseStatus/isOrderly``).
  ///
  /// Waits at most for `timeout` (default: as long as the connection lives).
  ///
  /// Throws ``WebSocketError/timedOut(_:)``, ``WebSocketError/cancelled`` (what has arrived together with an earlier message
  /// is returned all the same), or what ended the connection.
  @inlinable @inline(__always)
  public nonisolated func receive(timeout: Duration? = nil) async throws(WebSocketError) -> WebSocketMessage? {
    if let message = inbox.nextAtFront() { return message }
    return try await waitForNext(timeout: timeout)
  }

  @usableFromInline
  nonisolated func waitForNext(timeout: Duration?) async throws(WebSocketError) -> WebSocketMessage? {
    try await inbox.next(until: .after(timeout)).get()
  }

  // MARK: Closing

  /// How the connection ended; nil while it has not.
  public nonisolated var closeStatus: CloseStatus? { places.ended.current }

  /// Closes the connection (RFC 6455 §7.1.2) and returns how it ended.
  ///
  /// Sends what is queued and a Close frame with `code` and `reason`, and waits for the peer's, at most for `timeout`
  /// (default: ``WebSocketConfiguration/closeTimeout``); past it the connection is dropped, and the status says so. A connection
  /// that is not open yet is given up, with 1006.
  /// Messages that arrive in the meantime can still be received. The thread goes on until
  /// ``shutdown(within:keepingUnread:)``.
  ///
  /// Throws ``WebSocketError/invalidClose(reason:)`` (nothing is done then), ``WebSocketError/timedOut(_:)`` if the
  /// sidecar's thread is held by the application's code, or ``WebSocketError/cancelled``: the close goes on.
  @discardableResult
  public nonisolated func close(
    code: CloseCode = .normalClosure, reason: String = "", timeout: Duration? = nil
  ) async throws(WebSocketError) -> CloseStatus {
    let deadline = try postClose(code: code, reason: reason, timeout: timeout)
    switch await places.ended.value(until: deadline) {
    case .value(let status): return status
    case .timedOut: throw .timedOut(.closingHandshake)
    case .cancelled: throw .cancelled
    }
  }

  /// Begins to close; returns by when the connection has ended if the thread is free.
  nonisolated func postClose(
    code: CloseCode, reason: String, timeout: Duration?
  ) throws(WebSocketError) -> Deadline {
    let payload: ClosePayload
    do {
      payload = try ClosePayload(code, reason: reason)
    } catch {
      throw .invalidClose(reason: error.description)
    }
    let timeout = timeout ?? connection.configuration.closeTimeout
    let deadline = Deadline.after(timeout)
    outbox.refuse(.closed(nil))
    connection.requestClose(payload, deadline: deadline, discarding: false)
    return .after(timeout + ShutdownStateMachine.grace)
  }

  /// Ends the sidecar: the connection, the tasks that run on it, and its thread, all within `bound` (default: 5 s).
  ///
  /// From this call on new work is refused and receivers are released; unread messages are dropped, unless
  /// `keepingUnread` says that they will still be received. Then, in this order: queued bytes are written and the Close
  /// frames exchanged (RFC 6455 §7.1.2, code 1000), running tasks are cancelled and awaited, the thread is joined. What
  /// does not end in time is abandoned, and named in the report.
  ///
  /// Returns within `bound` and at most 100 ms more, whatever the peer, the network and the application's code do; not
  /// ended early by cancellation. Can be called again, and from several tasks: the first call counts, and all get the
  /// same report. Called from a task that runs on the sidecar, or from one that such a task has made otherwise than detached, it
  /// does not wait for the former, which may be waiting for it.
  @discardableResult
  public nonisolated func shutdown(
    within bound: Duration = .seconds(5), keepingUnread: Bool = false
  ) async -> ShutdownReport {
    if let id = TaskRegistry.current { tasks.exempt(id) }
    coordinator.request(bound: bound, keepingUnread: keepingUnread, payload: .normal)
    let report = await coordinator.report.uncancellableValue()
    if thread.hasEnded { thread.reap() }
    return report
  }
}

/// Connects, runs `body`, and shuts the sidecar down on every way out: a result, an error or a cancellation.
///
/// ```swift
/// try await withWebSocketSidecar("ws://localhost:9000/feed") { sidecar in
///   try await sidecar.send("hello")
///   return try await sidecar.receive()
/// }
/// ```
///
/// The shutdown has `bound` (default: 5 s). Throws what connecting throws, see ``WebSocketSidecar/connect(to:configuration:on:handler:)``, and what `body` throws.
public func withWebSocketSidecar<Result>(
  _ url: String, configuration: WebSocketConfiguration = .init(), shutdownWithin bound: Duration = .seconds(5),
  _ body: (WebSocketSidecar) async throws -> Result
) async throws -> Result {
  let sidecar = try await WebSocketSidecar.connect(to: url, configuration: configuration)
  do {
    let result = try await body(sidecar)
    await sidecar.shutdown(within: bound)
    return result
  } catch {
    await sidecar.shutdown(within: bound)
    throw error
  }
}

extension Reception {
  /// The message, nil for an orderly end; throws the rest.
  func get() throws(WebSocketError) -> WebSocketMessage? {
    switch self {
    case .message(let message): return message
    case .end(.orderly): return nil
    case .end(.failed(let error)): throw error
    case .timedOut: throw .timedOut(.receive)
    case .cancelled: throw .cancelled
    }
  }
}

extension Outbox.EnqueueResult {
  /// Whether the message was queued; throws if none can be any more.
  fileprivate func wasAdmitted() throws(WebSocketError) -> Bool {
    switch self {
    case .admitted: return true
    case .full, .notOpen: return false
    case .failed(let error): throw error
    }
  }
}

extension Outbox {
  /// Queues a message; see ``send(_:_:compress:orWait:)``.
  func send(_ message: WebSocketMessage, compress: Bool = true, orWait waiter: Promise<Void>?) -> EnqueueResult {
    switch message {
    case .text(var text):
      text.withUTF8 { send(.text, UnsafeRawBufferPointer($0), compress: compress, orWait: waiter) }
    case .binary(let payload):
      payload.withUnsafeBytes { send(.binary, $0, compress: compress, orWait: waiter) }
    }
  }
}
