internal import SidecarExecutor
internal import SidecarTransport

/// The part of a server that runs on its thread: accepts connections and owns them.
actor ServerCore {
  /// Connections accepted before the others get their turn.
  private static let acceptsPerTurn = 64
  /// How long accepting pauses when the process is out of descriptors.
  private static let pauseWhenExhausted = Duration.milliseconds(10)

  nonisolated let thread: SidecarThread
  nonisolated let serverLog = ObservableState(TestServer.ServerLog())
  private let options: TestServer.Options
  private let behavior: @Sendable (Int) -> TestServer.Behavior
  private var listener: ServerListener?
  private var registration: EventLoop.Registration?
  private var connections: [Int: ServerConnection] = [:]
  private var nextIndex = 0

  nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

  init(
    listener: ServerListener, thread: SidecarThread, options: TestServer.Options,
    behavior: @escaping @Sendable (Int) -> TestServer.Behavior
  ) {
    self.listener = listener
    self.thread = thread
    self.options = options
    self.behavior = behavior
  }

  /// Runs `body` on the server's thread, from any thread, in the order of the calls.
  nonisolated func post(_ body: @escaping @Sendable (isolated ServerCore) -> Void) {
    thread.post { self.assumeIsolated { core in body(core) } }
  }

  /// Begins to accept.
  func start() {
    guard let listener else { return }
    registration = try? thread.loop.register(listener.descriptor, interest: .readable, handler: self)
  }

  /// Closes every connection and the listening socket.
  func stop() {
    if let registration { thread.loop.deregister(registration) }
    registration = nil
    listener = nil
    for connection in connections.values { connection.end(.closedByServer) }
    connections = [:]
    serverLog.update { $0.isStopped = true }
  }

  private func acceptAvailable() {
    for _ in 0..<ServerCore.acceptsPerTurn {
      do throws(SystemError) {
        guard let descriptor = try listener?.accept() else { return }
        serve(StreamSocket(owning: descriptor))
      } catch {
        return pauseAccepting()
      }
    }
  }

  /// Pauses, because the poller reports a connection that cannot be accepted again and again.
  private func pauseAccepting() {
    guard let registration else { return }
    thread.loop.update(registration, interest: [])
    thread.loop.schedule(at: .after(ServerCore.pauseWhenExhausted)) { [weak self] in
      self?.assumeIsolated { core in
        if let registration = core.registration { core.thread.loop.update(registration, interest: .readable) }
      }
    }
  }

  private func serve(_ socket: StreamSocket) {
    let index = nextIndex
    nextIndex += 1
    let observed = TestServer.Connection(index: index, recordedBytes: options.recordedBytes) { [weak self] steps in
      self?.post { $0.connections[index]?.perform(steps) }
    }
    let connection = ServerConnection(
      index: index, socket: socket, behavior: behavior(index), loop: thread.loop, options: options,
      observed: observed,
      resume: { [weak self] wait in self?.post { $0.connections[index]?.resumeScript(wait) } },
      onEnd: { [weak self] in self?.assumeIsolated { $0.forget(index) } })
    connections[index] = connection
    serverLog.update { serverLog in
      serverLog.connections.append(observed)
      serverLog.acceptedCount += 1
    }
    connection.start()
  }

  private func forget(_ index: Int) {
    connections[index] = nil
    if !options.keepsEndedConnections { serverLog.update { $0.connections.removeAll { $0.index == index } } }
  }
}

extension ServerCore: ReadinessHandler {
  nonisolated func descriptorIsReady(_ readiness: Readiness) {
    assumeIsolated { $0.acceptAvailable() }
  }
}
