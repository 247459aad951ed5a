internal import SidecarExecutor
public import SidecarProtocol

extension TestServer {
  /// Why a wait for something on a server failed.
  public enum WaitError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The event, whose description it holds, did not happen in time.
    case timedOut(String)
    /// The event cannot happen any more: the connection has ended, or the server has stopped or dropped it. Holds the
    /// description of the event, and how the connection ended.
    case tooLate(String, Ending?)
    /// The task was cancelled.
    case cancelled

    /// The event, and why it did not happen.
    public var description: String {
      switch self {
      case .timedOut(let what): "timed out waiting for \(what)"
      case .tooLate(let what, let ending?): "\(what) cannot happen any more: the connection has ended (\(ending))"
      case .tooLate(let what, nil):
        "\(what) cannot happen any more: the server has stopped, or has dropped the connection"
      case .cancelled: "the task was cancelled"
      }
    }
  }
}

/// Waits for events of a server. Each has a bound, 20 s by default, that only a failure should reach.
extension TestServer {
  /// Waits until `count` connections have been accepted, and returns them.
  public func connections(
    count: Int, within bound: Duration = .seconds(20)
  ) async throws(WaitError) -> [Connection] {
    try await serverLog.settled(within: bound, "\(count) connections", Self.probe(count: count))
  }

  /// Blocks until `count` connections have been accepted, and returns them.
  @available(*, noasync, message: "await the asynchronous variant")
  public func connections(count: Int, within bound: Duration = .seconds(20)) throws(WaitError) -> [Connection] {
    try serverLog.settled(within: bound, "\(count) connections", Self.probe(count: count))
  }

  /// Waits until the connection of this index has been accepted, and returns it.
  public func connection(_ index: Int = 0, within bound: Duration = .seconds(20)) async throws(WaitError) -> Connection
  {
    try await serverLog.settled(within: bound, "connection \(index)", Self.probe(index: index))
  }

  /// Blocks until the connection of this index has been accepted, and returns it.
  @available(*, noasync, message: "await the asynchronous variant")
  public func connection(_ index: Int = 0, within bound: Duration = .seconds(20)) throws(WaitError) -> Connection {
    try serverLog.settled(within: bound, "connection \(index)", Self.probe(index: index))
  }

  private static func probe(count: Int) -> @Sendable (ServerLog) -> Result<[Connection], WaitError>? {
    { serverLog in
      if serverLog.acceptedCount >= count { return .success(serverLog.connections) }
      return serverLog.isStopped ? .failure(.tooLate("\(count) connections", nil)) : nil
    }
  }

  private static func probe(index: Int) -> @Sendable (ServerLog) -> Result<Connection, WaitError>? {
    { serverLog in
      if let connection = serverLog.connections.first(where: { $0.index == index }) { return .success(connection) }
      let isGone = serverLog.isStopped || serverLog.acceptedCount > index
      return isGone ? .failure(.tooLate("connection \(index)", nil)) : nil
    }
  }
}

/// Waits for events of a connection. Each has a bound, 20 s by default, that only a failure should reach. A wait for an
/// event that cannot happen any more, because the connection has ended, fails at once.
extension TestServer.Connection {
  /// Why a wait failed.
  public typealias WaitError = TestServer.WaitError

  /// Waits for the opening request.
  public func request(within bound: Duration = .seconds(20)) async throws(WaitError) -> TestServer.Request {
    try await settled(within: bound, "the opening request") { $0.request }
  }

  /// Blocks until the opening request has arrived.
  @available(*, noasync, message: "await the asynchronous variant")
  public func request(within bound: Duration = .seconds(20)) throws(WaitError) -> TestServer.Request {
    try settled(within: bound, "the opening request") { $0.request }
  }

  /// Waits until `count` messages have been received, and returns all that were kept.
  @discardableResult
  public func messages(
    count: Int, within bound: Duration = .seconds(20)
  ) async throws(WaitError) -> [WebSocketMessage] {
    try await settled(within: bound, "\(count) messages") { $0.messageCount >= count ? $0.messages : nil }
  }

  /// Blocks until `count` messages have been received, and returns all that were kept.
  @available(*, noasync, message: "await the asynchronous variant")
  @discardableResult
  public func messages(count: Int, within bound: Duration = .seconds(20)) throws(WaitError) -> [WebSocketMessage] {
    try settled(within: bound, "\(count) messages") { $0.messageCount >= count ? $0.messages : nil }
  }

  /// Waits until `count` Pings have been received, and returns their payloads.
  @discardableResult
  public func pings(count: Int, within bound: Duration = .seconds(20)) async throws(WaitError) -> [[UInt8]] {
    try await settled(within: bound, "\(count) Pings") { $0.pings.count >= count ? $0.pings : nil }
  }

  /// Blocks until `count` Pings have been received, and returns their payloads.
  @available(*, noasync, message: "await the asynchronous variant")
  @discardableResult
  public func pings(count: Int, within bound: Duration = .seconds(20)) throws(WaitError) -> [[UInt8]] {
    try settled(within: bound, "\(count) Pings") { $0.pings.count >= count ? $0.pings : nil }
  }

  /// Waits until `count` Pongs have been received, and returns their payloads.
  @discardableResult
  public func pongs(count: Int, within bound: Duration = .seconds(20)) async throws(WaitError) -> [[UInt8]] {
    try await settled(within: bound, "\(count) Pongs") { $0.pongs.count >= count ? $0.pongs : nil }
  }

  /// Blocks until `count` Pongs have been received, and returns their payloads.
  @available(*, noasync, message: "await the asynchronous variant")
  @discardableResult
  public func pongs(count: Int, within bound: Duration = .seconds(20)) throws(WaitError) -> [[UInt8]] {
    try settled(within: bound, "\(count) Pongs") { $0.pongs.count >= count ? $0.pongs : nil }
  }

  /// Waits for the client's Close frame.
  @discardableResult
  public func receivedClose(
    within bound: Duration = .seconds(20)
  ) async throws(WaitError) -> TestServer.ReceivedClose {
    try await settled(within: bound, "a Close frame") { $0.close }
  }

  /// Blocks until the client's Close frame has arrived.
  @available(*, noasync, message: "await the asynchronous variant")
  @discardableResult
  public func receivedClose(within bound: Duration = .seconds(20)) throws(WaitError) -> TestServer.ReceivedClose {
    try settled(within: bound, "a Close frame") { $0.close }
  }

  /// Waits until the server's output is blocked, because the client does not read.
  public func sendingBlocked(within bound: Duration = .seconds(20)) async throws(WaitError) {
    try await settled(within: bound, "back-pressure") { $0.sendingIsBlocked ? () : nil }
  }

  /// Blocks until the server's output is blocked, because the client does not read.
  @available(*, noasync, message: "await the asynchronous variant")
  public func sendingBlocked(within bound: Duration = .seconds(20)) throws(WaitError) {
    try settled(within: bound, "back-pressure") { $0.sendingIsBlocked ? () : nil }
  }

  /// Waits until no step of a script is left, and returns how it ended.
  @discardableResult
  public func scriptEnded(within bound: Duration = .seconds(20)) async throws(WaitError) -> TestServer.ScriptProgress {
    try await settled(within: bound, "the end of the script") { $0.script == .running ? nil : $0.script }
  }

  /// Blocks until no step of a script is left, and returns how it ended.
  @available(*, noasync, message: "await the asynchronous variant")
  @discardableResult
  public func scriptEnded(within bound: Duration = .seconds(20)) throws(WaitError) -> TestServer.ScriptProgress {
    try settled(within: bound, "the end of the script") { $0.script == .running ? nil : $0.script }
  }

  /// Waits until the client's half of the stream has ended, or the server has closed the connection, and returns how.
  ///
  /// The server's socket may still be open then, for a moment or for as long as its behavior says.
  @discardableResult
  public func ended(within bound: Duration = .seconds(20)) async throws(WaitError) -> TestServer.Ending {
    try await settled(within: bound, "the end of the connection") { $0.ending }
  }

  /// Blocks until the client's half of the stream has ended, or the server has closed the connection, and returns how.
  @available(*, noasync, message: "await the asynchronous variant")
  @discardableResult
  public func ended(within bound: Duration = .seconds(20)) throws(WaitError) -> TestServer.Ending {
    try settled(within: bound, "the end of the connection") { $0.ending }
  }

  private func settled<Value: Sendable>(
    within bound: Duration, _ what: String, _ probe: @escaping @Sendable (TestServer.ConnectionLog) -> Value?
  ) async throws(WaitError) -> Value {
    try await log.settled(within: bound, "\(what) on connection \(index)", Self.orTooLate(what, probe))
  }

  private func settled<Value: Sendable>(
    within bound: Duration, _ what: String, _ probe: @escaping @Sendable (TestServer.ConnectionLog) -> Value?
  ) throws(WaitError) -> Value {
    try log.settled(within: bound, "\(what) on connection \(index)", Self.orTooLate(what, probe))
  }

  private static func orTooLate<Value: Sendable>(
    _ what: String, _ probe: @escaping @Sendable (TestServer.ConnectionLog) -> Value?
  ) -> @Sendable (TestServer.ConnectionLog) -> Result<Value, WaitError>? {
    { log in
      if let value = probe(log) { return .success(value) }
      return log.isOver ? .failure(.tooLate(what, log.ending)) : nil
    }
  }
}

extension ObservableState {
  fileprivate func settled<Value: Sendable>(
    within bound: Duration, _ what: String,
    _ probe: @escaping @Sendable (State) -> Result<Value, TestServer.WaitError>?
  ) async throws(TestServer.WaitError) -> Value {
    switch await value(until: .after(bound), probe) {
    case .value(let result): return try result.get()
    case .timedOut: throw .timedOut(what)
    case .cancelled: throw .cancelled
    }
  }

  fileprivate func settled<Value: Sendable>(
    within bound: Duration, _ what: String,
    _ probe: @escaping @Sendable (State) -> Result<Value, TestServer.WaitError>?
  ) throws(TestServer.WaitError) -> Value {
    precondition(
      !SidecarThread.isAnyCurrent,
      "A blocking wait for \(what) on a sidecar's own thread would stop its connections. Await the async variant.")
    guard let result = wait(until: .after(bound), probe) else { throw .timedOut(what) }
    return try result.get()
  }
}
