public import SidecarExecutor

/// A WebSocket server in the same process, for tests of clients: well-behaved, or as badly behaved as a script says.
///
/// ```swift
/// let server = try TestServer(behavior: .echo)
/// let client = try await WebSocketSidecar.connect(to: server.url)
/// try await client.send("hello")
/// #expect(try await client.receive() == "hello")
/// await client.shutdown()
/// #expect(try await server.connection(0).ended().isClean)
/// await server.stop()
/// ```
///
/// It listens on the loopback interface, on a port that the system chooses, and runs on a thread of its own, so that it
/// needs neither the client's thread nor the concurrency pool. What a connection does is said by a ``Behavior``; what the
/// server has seen of it, and what a test can wait for, by a ``Connection``.
///
/// All members can be used from any thread. ``stop(within:)-(Duration)`` closes everything; so does dropping the last
/// reference, without waiting for it.
public final class TestServer: Sendable {
  /// The port that the server listens on.
  public let port: UInt16

  /// The URL of the server: `ws://127.0.0.1:41234/`, for example. Any path can be put behind it.
  public let url: String

  private let thread: SidecarThread
  private let core: ServerCore

  var serverLog: ObservableState<ServerLog> { core.serverLog }

  /// Starts a server that does the same with every connection.
  ///
  /// When it returns, clients can connect. Throws the error of the system call that failed: when the process is out of
  /// descriptors, or when ``Options/port`` is taken.
  public convenience init(behavior: Behavior = .echo, options: Options = Options()) throws(SystemError) {
    try self.init(options: options, plan: { _ in behavior })
  }

  /// Starts a server that has a behaviour for each connection, in the order in which they are accepted. The last one is
  /// that of all further connections.
  ///
  /// ```swift
  /// let server = try TestServer(behaviors: [.refuse(status: 503), .script([.open, .reset]), .echo])
  /// ```
  ///
  /// Throws what ``init(behavior:options:)`` throws.
  public convenience init(behaviors: [Behavior], options: Options = Options()) throws(SystemError) {
    precondition(!behaviors.isEmpty, "A server needs at least one behaviour.")
    try self.init(options: options, plan: { behaviors[min($0, behaviors.count - 1)] })
  }

  /// Starts a server that chooses a behaviour for each connection, when its opening request has come.
  ///
  /// ```swift
  /// let server = try TestServer { index, request in
  ///   request.path == "/feed" ? .fireHose(message: "tick") : .echo
  /// }
  /// ```
  ///
  /// `choose` is given the connection's index, from 0 on, and the request. It runs on the server's thread, and holds up
  /// all connections. Throws what ``init(behavior:options:)`` throws.
  public convenience init(
    options: Options = Options(), choosing choose: @escaping @Sendable (Int, Request) -> Behavior
  ) throws(SystemError) {
    let behavior = Behavior([.receiveRequest, Step("choose", .choose(choose))])
    try self.init(options: options, plan: { _ in behavior })
  }

  private init(options: Options, plan: @escaping @Sendable (Int) -> Behavior) throws(SystemError) {
    let listener = try LoopbackSocket(options.loopback, port: options.port)
    try listener.setBuffers(receive: options.receiveBufferSize, send: options.sendBufferSize)
    try listener.listen(backlog: LoopbackSocket.largeBacklog)
    port = listener.port
    url = listener.url
    thread = try SidecarThread(name: "test-server")
    core = ServerCore(listener: listener, thread: thread, options: options, behavior: plan)
    core.post { $0.start() }
  }

  deinit {
    // The last reference may be dropped on the server's own thread, by a behaviour: ask for the end, wait for nothing.
    requestStop()
  }

  /// The connections that have been accepted, in their order; those that have ended are among them, unless
  /// ``Options/keepsEndedConnections`` says otherwise.
  public var connections: [Connection] { serverLog.read(\.connections) }

  /// How many connections have been accepted.
  public var connectionCount: Int { serverLog.read(\.acceptedCount) }

  /// Closes every connection and the port, and ends the thread; returns whether that was done within `bound`.
  ///
  /// It takes a moment, unless a closure that a behaviour runs holds the thread: then the thread is left to end by itself.
  /// Once it has returned true, no thread and no descriptor of the server is left. Harmless when repeated. What was seen
  /// can still be looked at.
  ///
  /// It may block the task that calls it, as `defer` in an asynchronous function has to, because it waits for nothing but
  /// the server's thread. On that thread itself it only asks for the end, and returns false.
  @discardableResult
  public func stop(within bound: Duration = .seconds(10)) -> Bool {
    requestStop()
    if thread.isCurrent { return false }
    return thread.join(until: .after(bound))
  }

  /// Closes every connection and the port, and ends the thread; returns whether that was done within `bound`.
  ///
  /// It takes a moment, unless a closure that a behaviour runs holds the thread: then the thread is left to end by itself.
  /// Once it has returned true, no thread and no descriptor of the server is left. Harmless when repeated. What was seen
  /// can still be looked at.
  @discardableResult
  public func stop(within bound: Duration = .seconds(10)) async -> Bool {
    requestStop()
    return await thread.joined(until: .after(bound))
  }

  private func requestStop() {
    core.post { $0.stop() }
    thread.requestStop()
  }
}

/// Runs `body` with a server, and stops the server on every way out.
///
/// ```swift
/// try await withTestServer(.echo) { server in
///   let client = try await WebSocketSidecar.connect(to: server.url)
///   // …
/// }
/// ```
///
/// Throws what `body` throws, and what ``TestServer/init(behavior:options:)`` throws.
public nonisolated(nonsending) func withTestServer<Result>(
  _ behavior: TestServer.Behavior = .echo, options: TestServer.Options = TestServer.Options(),
  _ body: nonisolated(nonsending) (TestServer) async throws -> Result
) async throws -> Result {
  let server = try TestServer(behavior: behavior, options: options)
  do {
    let result = try await body(server)
    await server.stop()
    return result
  } catch {
    await server.stop()
    throw error
  }
}
