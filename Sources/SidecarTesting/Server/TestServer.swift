public import SidecarExecutor
public import SidecarTransport

/// Runs a WebSocket server in the same process, for tests of clients: one that behaves well, or as badly as a script
/// says.
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
/// The server listens on a loopback port that the system chooses, or on a Unix-domain socket (``Options/unixPath``). It
/// has a thread of its own, so it needs neither the client's thread nor Swift's cooperative thread pool. A ``Behavior``
/// says what a connection does; a ``Connection`` tells what it has received, and has what a test can wait for.
///
/// All members can be used from any thread. ``stop(within:)-(Duration)`` closes everything. So does dropping the last
/// reference, without waiting for it.
public final class TestServer: Sendable {
  /// The port that the server listens on; 0 for a Unix-domain socket.
  public let port: UInt16

  /// The URL of the server, such as `ws://127.0.0.1:41234/`. A path can be appended.
  ///
  /// For a server on a Unix-domain socket it is `ws://localhost/`, and clients need ``endpoint`` too.
  public let url: String

  /// The endpoint that the server listens on, for `WebSocketConfiguration.endpoint`.
  public let endpoint: WebSocketEndpoint

  private let thread: SidecarThread
  private let core: ServerCore

  var serverLog: ObservableState<ServerLog> { core.serverLog }

  /// Starts a server that does the same with every connection. Clients can connect when it returns.
  ///
  /// - Parameters:
  ///   - behavior: What each connection does. Default: ``Behavior/echo``.
  ///   - options: The settings of the server.
  /// - Throws: The error of the system call that failed: the process is out of descriptors or threads, ``Options/port``
  ///   or ``Options/unixPath`` is in use.
  public convenience init(behavior: Behavior = .echo, options: Options = Options()) throws(SystemError) {
    try self.init(options: options, plan: { _ in behavior })
  }

  /// Starts a server with a behavior for each connection, in the order in which they are accepted.
  ///
  /// ```swift
  /// let server = try TestServer(behaviors: [.refuse(status: 503), .script([.open, .reset]), .echo])
  /// ```
  ///
  /// - Parameters:
  ///   - behaviors: At least one. The last one also applies to all further connections.
  ///   - options: The settings of the server.
  /// - Throws: What ``init(behavior:options:)`` throws.
  public convenience init(behaviors: [Behavior], options: Options = Options()) throws(SystemError) {
    precondition(!behaviors.isEmpty, "A server needs at least one behavior. Use .acceptOnly for one that does nothing.")
    try self.init(options: options, plan: { behaviors[min($0, behaviors.count - 1)] })
  }

  /// Starts a server that chooses a behavior for each connection when its opening request has arrived.
  ///
  /// ```swift
  /// let server = try TestServer { index, request in
  ///   request.path == "/feed" ? .fireHose(message: "tick") : .echo
  /// }
  /// ```
  ///
  /// - Parameters:
  ///   - options: The settings of the server.
  ///   - choose: Takes the index of the connection, from 0, and the request. Runs on the server's thread. The server's
  ///     other connections wait for it.
  /// - Throws: What ``init(behavior:options:)`` throws.
  public convenience init(
    options: Options = Options(), choosing choose: @escaping @Sendable (Int, Request) -> Behavior
  ) throws(SystemError) {
    let behavior = Behavior([.receiveRequest, Step("choose", .choose(choose))])
    try self.init(options: options, plan: { _ in behavior })
  }

  private init(options: Options, plan: @escaping @Sendable (Int) -> Behavior) throws(SystemError) {
    let listener = try ServerListener(options)
    try listener.setBuffers(receive: options.receiveBufferSize, send: options.sendBufferSize)
    try listener.listen()
    port = listener.port
    url = listener.url
    endpoint = listener.endpoint
    thread = try SidecarThread(name: "test-server")
    core = ServerCore(listener: listener, thread: thread, options: options, behavior: plan)
    core.post { $0.start() }
  }

  deinit {
    // A behavior may drop the last reference on the server's own thread, so this only asks for the stop.
    requestStop()
  }

  /// The connections that were accepted, in order. Those that have ended are included, unless
  /// ``Options/keepsEndedConnections`` says otherwise.
  public var connections: [Connection] { serverLog.read(\.connections) }

  /// The number of connections that were accepted.
  public var connectionCount: Int { serverLog.read(\.acceptedCount) }

  /// Closes every connection and the listening socket, and ends the thread.
  ///
  /// Takes a moment, unless a closure of a behavior blocks the thread. Then the thread is left to end by itself.
  /// Harmless when repeated. Connections can still be read afterwards.
  ///
  /// May block in a task, which `defer` in an asynchronous function needs: it waits for nothing but the server's
  /// thread. On that thread itself it only asks for the stop, and returns false.
  ///
  /// - Parameter bound: The longest time to wait. Default: 10 s.
  /// - Returns: Whether no thread, descriptor or socket file of the server is left.
  @discardableResult
  public func stop(within bound: Duration = .seconds(10)) -> Bool {
    requestStop()
    if thread.isCurrent { return false }
    return thread.join(until: .after(bound))
  }

  /// Closes every connection and the listening socket, and ends the thread.
  ///
  /// Takes a moment, unless a closure of a behavior blocks the thread. Then the thread is left to end by itself.
  /// Harmless when repeated. Connections can still be read afterwards.
  ///
  /// - Parameter bound: The longest time to wait. Default: 10 s.
  /// - Returns: Whether no thread, descriptor or socket file of the server is left.
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

/// Runs `body` with a server, and stops the server when `body` returns or throws.
///
/// ```swift
/// try await withTestServer(.echo) { server in
///   let client = try await WebSocketSidecar.connect(to: server.url)
///   // …
/// }
/// ```
///
/// - Parameters:
///   - behavior: What each connection does. Default: ``TestServer/Behavior/echo``.
///   - options: The settings of the server.
/// - Returns: What `body` returns.
/// - Throws: What `body` throws, and what ``TestServer/init(behavior:options:)`` throws.
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
