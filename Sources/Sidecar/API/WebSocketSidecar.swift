public import SidecarExecutor
public import SidecarProtocol
internal import SidecarTransport

/// Receives a message on the sidecar's thread, in the read buffer.
///
/// The fastest way to receive: nothing is copied, allocated or handed to another thread, if the message is uncompressed
/// and arrives whole in one read. Answer with ``WebSocketSidecar/trySend(_:_:)``, which always queues what a handler
/// sends: while the outbound queue is full, the handler is not called. What a single call sends is not bounded.
///
/// Until the handler returns, no sidecar on the same thread can read or write. Keep it short, and never block in it. It
/// is not called any more once a shutdown has been requested.
///
/// - Parameters:
///   - sidecar: The sidecar that received the message.
///   - kind: Whether the message is text or binary.
///   - bytes: The message; text is valid UTF-8. Valid only during the call, which the compiler checks.
public typealias MessageHandler =
  @Sendable (_ sidecar: WebSocketSidecar, _ kind: MessageKind, _ bytes: RawSpan) -> Void

/// Runs a WebSocket connection on a thread of its own.
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
/// Always end a sidecar with ``shutdown(within:keepingUnread:)``, or use
/// ``withWebSocketSidecar(_:configuration:shutdownWithin:_:)``, which does. Dropping the last reference also closes the
/// socket and ends the thread, but does not wait for the peer.
///
/// Every member can be used from any task and any thread, at any time, and every call ends. On a sidecar that is
/// closing or closed, work fails with ``WebSocketError/closed(_:)``, or with what ended the connection. Receiving ends.
/// Closing and shutting down return how the connection ended.
public actor WebSocketSidecar {
  /// The thread that runs the sidecar. Actors of your own can be pinned to it too.
  public nonisolated let thread: SidecarThread

  nonisolated let connection: Connection
  nonisolated let tasks = TaskRegistry()
  nonisolated let coordinator: ShutdownCoordinator

  // Stored here too, because every message passes them: reaching them through `shared` costs more than using them.
  @usableFromInline nonisolated let inbox: Inbox
  nonisolated let sendQueue: SendQueue

  nonisolated var shared: SharedConnectionState { connection.shared }

  /// Pins the actor to its thread.
  public nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

  /// Starts a thread, and connecting, and returns without waiting for either.
  ///
  /// Use it to observe or shut down a connection while it is being opened; otherwise use
  /// ``connect(to:configuration:on:handler:)``. Sends wait until the connection is open.
  ///
  /// If the sidecar has a thread of its own and the host is an address, the first system calls are made here, before
  /// there is a thread. None of them waits.
  ///
  /// - Parameters:
  ///   - url: A `ws` URL.
  ///   - configuration: How to connect, what to accept, and how long to wait.
  ///   - sharedThread: A thread to run on, which continues when the sidecar ends. Default: nil, a thread of its own.
  ///   - handler: Called with each message, on the thread; there is nothing to receive elsewhere then. Default: nil.
  /// - Throws: ``WebSocketError/invalidURL(_:reason:)``, ``WebSocketError/invalidConfiguration(reason:)`` or
  ///   ``WebSocketError/systemResources(_:)``.
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
      to: configuration.endpoint ?? .tcp(host: url.host, port: url.port), request: request,
      configuration: configuration, thread: thread, handler: handler)
    inbox = connection.shared.inbox
    sendQueue = connection.shared.sendQueue
    coordinator = ShutdownCoordinator(
      connection: connection, thread: thread, ownsThread: sharedThread == nil, tasks: tasks)
    if sharedThread != nil {
      LiveCounters.sidecars.increment()
      connection.post { [weak self] in $0.start(for: self) }
      return
    }
    // The server is asked first: it answers while the system makes the thread.
    thread.beforeStart { connection.onThread(self) { $0.start(for: $1) } }
    LiveCounters.sidecars.increment()
    do throws(SystemError) {
      try thread.start()
    } catch {
      coordinator.request(bound: .zero, keepingUnread: false, payload: .goingAway)
      throw .systemResources(error)
    }
  }

  deinit {
    // The last reference may be dropped anywhere, on the sidecar's own thread too: ask for the end, wait for nothing.
    coordinator.request(bound: .zero, keepingUnread: false, payload: .goingAway)
  }

  // MARK: Connecting

  /// Connects to a `ws` URL, and returns when the connection is open.
  ///
  /// Tries every address of the host (RFC 8305) and performs the opening handshake (RFC 6455 §4.1), each step within
  /// its time-out in the configuration. If that fails, or the task is cancelled, everything is cleaned up within 1 s
  /// before the error is thrown; only a look-up that hangs may continue.
  ///
  /// - Parameters:
  ///   - url: A `ws` URL.
  ///   - configuration: How to connect, what to accept, and how long to wait.
  ///   - sharedThread: A thread to run on, which continues when the sidecar ends. Default: nil, a thread of its own.
  ///   - handler: Called with each message, on the thread; there is nothing to receive elsewhere then. Default: nil.
  /// - Throws: A ``WebSocketError`` that says which step failed, and why.
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
  /// - Throws: The error that connecting failed with, ``WebSocketError/closed(_:)`` if the sidecar was ended before
  ///   that, or ``WebSocketError/cancelled``.
  public nonisolated func connected() async throws(WebSocketError) {
    _ = try await waitUntilOpen(by: .never)
  }

  /// Waits for the connection to open, at most until `deadline`; but no longer than opening may take, even if
  /// application code blocks the sidecar's thread.
  nonisolated func waitUntilOpen(
    by deadline: Deadline, for purpose: WebSocketError.TimeoutPhase = .send
  ) async throws(WebSocketError) -> SharedConnectionState.NegotiatedConnection {
    switch await shared.opened.value(until: deadline.earlier(shared.openingDeadline)) {
    case .value(let result): return try result.get()
    case .timedOut: throw .timedOut(deadline.hasPassed ? purpose : .openingHandshake)
    case .cancelled: throw .cancelled
    }
  }

  /// The subprotocol that the server chose among the offered ones; nil if it chose none, or before the connection is
  /// open (RFC 6455 §1.9).
  public nonisolated var subprotocol: String? { (try? shared.opened.current?.get())?.subprotocol }

  /// The compression parameters in effect; nil if the server declined compression, or before the connection is open
  /// (RFC 7692 §7.1).
  public nonisolated var negotiatedCompression: WebSocketCompression.Negotiated? {
    (try? shared.opened.current?.get())?.compression
  }

  /// The server's numeric address and port, such as `[::1]:9000`; nil before the connection is open.
  public nonisolated var remoteAddress: String? {
    (try? shared.opened.current?.get())?.remoteAddress?.description
  }
}
