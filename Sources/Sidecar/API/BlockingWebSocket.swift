public import SidecarExecutor
public import SidecarProtocol

/// Runs a WebSocket connection for code without `async`.
///
/// ```swift
/// let socket = try BlockingWebSocket("ws://localhost:9000/feed")
/// try socket.send("hello")
/// while let message = try socket.receive() { print(message) }
/// print(socket.shutdown(within: .seconds(5)))
/// ```
///
/// The same sidecar with the same verbs. Each call blocks the calling thread for as long as the asynchronous one would
/// suspend its task. Nothing here needs Swift's cooperative thread pool, so it works even if that is full.
///
/// Can be used from several threads at once. ``shutdown(within:keepingUnread:)`` on one thread releases calls that are
/// blocked on others. Asynchronous code must not use it, which the compiler enforces where it can. On a sidecar's own
/// thread, a call that would block throws ``WebSocketError/blockedSidecarThread`` instead of deadlocking.
public final class BlockingWebSocket: Sendable {
  /// The sidecar, for code that uses both APIs.
  public let sidecar: WebSocketSidecar

  @usableFromInline let inbox: Inbox
  private let sendQueue: SendQueue
  private var shared: SharedConnectionState { sidecar.shared }

  /// Connects, and returns when the connection is open.
  ///
  /// - Parameters:
  ///   - url: A `ws` URL.
  ///   - configuration: How to connect, what to accept, and how long to wait.
  ///   - sharedThread: A thread to run on, which continues when the sidecar ends. Default: nil, a thread of its own.
  /// - Throws: What ``WebSocketSidecar/connect(to:configuration:on:handler:)`` throws, after everything is cleaned up.
  @available(*, noasync, message: "use WebSocketSidecar.connect(to:configuration:on:handler:)")
  public init(
    _ url: String, configuration: WebSocketConfiguration = .init(), on sharedThread: SidecarThread? = nil
  ) throws(WebSocketError) {
    try BlockingWebSocket.checkMayBlock()
    sidecar = try WebSocketSidecar(url, configuration: configuration, on: sharedThread)
    inbox = sidecar.inbox
    sendQueue = sidecar.sendQueue
    if case .failure(let error) = sidecar.shared.opened.wait(until: sidecar.shared.openingDeadline)
      ?? .failure(.timedOut(.openingHandshake))
    {
      BlockingWebSocket.waitForShutdown(of: sidecar, within: .seconds(1), keepingUnread: false)
      throw error
    }
  }

  /// Wraps a sidecar, connected or not, which can still be used as well.
  public init(_ sidecar: WebSocketSidecar) {
    self.sidecar = sidecar
    inbox = sidecar.inbox
    sendQueue = sidecar.sendQueue
  }

  /// Sends a message; blocks while the outbound queue is full. See ``WebSocketSidecar/send(_:compress:timeout:)``.
  ///
  /// - Parameters:
  ///   - message: The message.
  ///   - compress: Whether to compress it, if that was agreed on. Default: true.
  ///   - timeout: How long to wait. Default: nil, as long as the connection lives.
  /// - Throws: ``WebSocketError/timedOut(_:)`` (the message was not queued then), ``WebSocketError/closed(_:)``, or
  ///   what ended the connection.
  @available(*, noasync, message: "use WebSocketSidecar.send(_:compress:timeout:)")
  public func send(
    _ message: WebSocketMessage, compress: Bool = true, timeout: Duration? = nil
  ) throws(WebSocketError) {
    try BlockingWebSocket.checkMayBlock()
    switch sendQueue.send(message, compress: compress, orWait: nil) {
    case .queued: return
    case .failed(let error): throw error
    case .notOpen, .full: try sendWaiting(message, compress: compress, until: .after(timeout))
    }
  }

  private func sendWaiting(
    _ message: WebSocketMessage, compress: Bool, until deadline: Deadline
  ) throws(WebSocketError) {
    while true {
      switch sendQueue.send(message, compress: compress, orWait: nil) {
      case .queued: return
      case .failed(let error): throw error
      case .notOpen:
        _ = try waitUntilOpen(by: deadline, for: .send)
      case .full:
        let room = Promise<Void>()
        switch sendQueue.send(message, compress: compress, orWait: room) {
        case .queued: return
        case .failed(let error): throw error
        case .notOpen: continue
        case .full:
          if room.wait(until: deadline) != nil { continue }
          _ = sendQueue.withdraw(room)
          throw .timedOut(.send)
        }
      }
    }
  }

  private func waitUntilOpen(
    by deadline: Deadline, for purpose: WebSocketError.TimeoutPhase
  ) throws(WebSocketError) -> SharedConnectionState.NegotiatedConnection {
    if let result = shared.opened.wait(until: deadline.earlier(shared.openingDeadline)) { return try result.get() }
    throw .timedOut(deadline.hasPassed ? purpose : .openingHandshake)
  }

  /// Sends a text message; see ``send(_:compress:timeout:)-(WebSocketMessage,_,_)``.
  @available(*, noasync, message: "use WebSocketSidecar.send(_:compress:timeout:)")
  public func send(_ text: String, compress: Bool = true, timeout: Duration? = nil) throws(WebSocketError) {
    try send(.text(text), compress: compress, timeout: timeout)
  }

  /// Sends a binary message of a copy of `bytes`; see ``send(_:compress:timeout:)-(WebSocketMessage,_,_)``.
  @available(*, noasync, message: "use WebSocketSidecar.send(_:compress:timeout:)")
  public func send(_ bytes: [UInt8], compress: Bool = true, timeout: Duration? = nil) throws(WebSocketError) {
    try send(.binary(WebSocketPayload(bytes)), compress: compress, timeout: timeout)
  }

  /// Receives the next message; nil after an orderly end of the connection (see ``CloseStatus/isOrderly``).
  ///
  /// - Parameter timeout: How long to block. Default: nil, as long as the connection lives.
  /// - Returns: The message; nil after an orderly end, when ``closeStatus`` says how.
  /// - Throws: ``WebSocketError/timedOut(_:)``, or what ended the connection.
  @available(*, noasync, message: "use WebSocketSidecar.receive(timeout:)")
  @inlinable @inline(__always)
  public func receive(timeout: Duration? = nil) throws(WebSocketError) -> WebSocketMessage? {
    if let message = inbox.nextAtFront() { return message }
    return try waitForNext(timeout: timeout)
  }

  @usableFromInline
  func waitForNext(timeout: Duration?) throws(WebSocketError) -> WebSocketMessage? {
    if SidecarThread.isAnyCurrent {
      if let result = inbox.next() { return try result.get() }
      throw .blockedSidecarThread
    }
    return try inbox.waitForNext(until: .after(timeout)).get()
  }

  /// Sends a Ping and returns how long the Pong took; see ``WebSocketSidecar/ping(_:timeout:)``.
  @available(*, noasync, message: "use WebSocketSidecar.ping(_:timeout:)")
  @discardableResult
  public func ping(_ payload: [UInt8]? = nil, timeout: Duration? = nil) throws(WebSocketError) -> Duration {
    try BlockingWebSocket.checkMayBlock()
    let payload = try PendingPings.payload(payload)
    let deadline = Deadline.after(timeout)
    _ = try waitUntilOpen(by: deadline, for: .pong)
    let answer = sidecar.postPing(payload)
    guard let result = answer.wait(until: deadline) else {
      shared.pings.forget(answer)
      throw .timedOut(.pong)
    }
    return try result.get()
  }

  /// The subprotocol that the server chose; see ``WebSocketSidecar/subprotocol``.
  public var subprotocol: String? { sidecar.subprotocol }

  /// The compression parameters in effect; see ``WebSocketSidecar/negotiatedCompression``.
  public var negotiatedCompression: WebSocketCompression.Negotiated? { sidecar.negotiatedCompression }

  /// The server's numeric address and port; see ``WebSocketSidecar/remoteAddress``.
  public var remoteAddress: String? { sidecar.remoteAddress }

  /// How the connection ended; nil while it has not.
  public var closeStatus: CloseStatus? { sidecar.closeStatus }

  /// Closes the connection and returns how it ended; see ``WebSocketSidecar/close(code:reason:timeout:)``.
  @available(*, noasync, message: "use WebSocketSidecar.close(code:reason:timeout:)")
  @discardableResult
  public func close(
    code: CloseCode = .normalClosure, reason: String = "", timeout: Duration? = nil
  ) throws(WebSocketError) -> CloseStatus {
    try BlockingWebSocket.checkMayBlock()
    let deadline = try sidecar.postClose(code: code, reason: reason, timeout: timeout)
    guard let status = shared.closed.wait(until: deadline) else { throw .timedOut(.closingHandshake) }
    return status
  }

  /// Runs `body` on the sidecar's thread and returns its result; see ``WebSocketSidecar/run(_:)``.
  ///
  /// - Parameters:
  ///   - timeout: How long to block. Default: nil, without bound.
  ///   - body: The work.
  /// - Throws: What `body` throws; ``WebSocketError/closed(_:)`` if the sidecar is closing or closed;
  ///   ``WebSocketError/timedOut(_:)`` after `timeout`: `body` is cancelled then, but may still be running.
  @available(*, noasync, message: "use WebSocketSidecar.run(_:)")
  public func run<Result: Sendable>(
    timeout: Duration? = nil, _ body: @escaping @Sendable (isolated WebSocketSidecar) async throws -> Result
  ) throws -> Result {
    try BlockingWebSocket.checkMayBlock()
    let (outcome, cancel) = try sidecar.startRun(body)
    guard let result = outcome.wait(until: .after(timeout)) else {
      cancel()
      throw WebSocketError.timedOut(.run)
    }
    return try result.get()
  }

  /// Ends the sidecar within `bound` (default: 5 s); see ``WebSocketSidecar/shutdown(within:keepingUnread:)``.
  ///
  /// On a sidecar's own thread it only requests the shutdown.
  ///
  /// - Parameters:
  ///   - bound: How long it may take. Default: 5 s.
  ///   - keepingUnread: Whether unread messages can still be received. Default: false, which drops them.
  /// - Returns: The report; on a sidecar's own thread, one whose steps are under way.
  @available(*, noasync, message: "use WebSocketSidecar.shutdown(within:keepingUnread:)")
  @discardableResult
  public func shutdown(within bound: Duration = .seconds(5), keepingUnread: Bool = false) -> ShutdownReport {
    BlockingWebSocket.waitForShutdown(of: sidecar, within: bound, keepingUnread: keepingUnread)
  }

  @discardableResult
  private static func waitForShutdown(
    of sidecar: WebSocketSidecar, within bound: Duration, keepingUnread: Bool
  ) -> ShutdownReport {
    sidecar.coordinator.request(bound: bound, keepingUnread: keepingUnread, payload: .normal)
    if SidecarThread.isAnyCurrent { return sidecar.coordinator.provisionalReport }
    return sidecar.coordinator.waitForReport()
  }

  private static func checkMayBlock() throws(WebSocketError) {
    if SidecarThread.isAnyCurrent { throw .blockedSidecarThread }
  }
}
