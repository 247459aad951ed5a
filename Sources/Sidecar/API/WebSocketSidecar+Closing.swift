internal import SidecarExecutor
public import SidecarProtocol

extension WebSocketSidecar {
  /// How the connection ended; nil while it has not.
  public nonisolated var closeStatus: CloseStatus? { shared.settledStatus.current }

  /// Closes the connection (RFC 6455 §7.1.2) and returns how it ended.
  ///
  /// Sends what is queued and a Close frame, and waits for the peer's. After `timeout` the connection is dropped, and
  /// the status says so. A connection that is not open yet is given up, with 1006.
  ///
  /// Messages that arrive in the meantime can still be received. A full inbox does not hold up the peer's Close frame:
  /// messages over the capacity are dropped, and counted in ``CloseStatus/droppedMessageCount``. The thread continues
  /// until ``shutdown(within:keepingUnread:)``.
  ///
  /// - Parameters:
  ///   - code: The code to send. Default: 1000.
  ///   - reason: The reason to send, at most 123 bytes of UTF-8. Default: none.
  ///   - timeout: How long to wait. Default: ``WebSocketConfiguration/closeTimeout``.
  /// - Throws: ``WebSocketError/invalidClose(reason:)`` (nothing is done then), ``WebSocketError/timedOut(_:)`` if
  ///   application code blocks the sidecar's thread, or ``WebSocketError/cancelled``: the close continues.
  @discardableResult
  public nonisolated func close(
    code: CloseCode = .normalClosure, reason: String = "", timeout: Duration? = nil
  ) async throws(WebSocketError) -> CloseStatus {
    let deadline = try postClose(code: code, reason: reason, timeout: timeout)
    switch await shared.closed.value(until: deadline) {
    case .value(let status): return status
    case .timedOut: throw .timedOut(.closingHandshake)
    case .cancelled: throw .cancelled
    }
  }

  /// Begins to close.
  ///
  /// - Returns: When the connection has ended at the latest, unless application code blocks the thread.
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
    shared.refuseNewSends()
    connection.post { $0.close(payload, deadline: deadline) }
    return deadline.instant.map { Deadline($0 + ShutdownStateMachine.grace) } ?? .never
  }

  /// Ends the sidecar: the connection, the tasks that run on it, and its thread, all within `bound` (default: 5 s).
  ///
  /// From this call on new work is refused. Then, in this order: queued bytes are written and the Close frames
  /// exchanged (RFC 6455 §7.1.2, code 1000), running tasks are cancelled and awaited, and the thread is joined.
  /// Receivers are released as soon as it is known how the connection ended. What does not end in time is abandoned,
  /// and named in the report.
  ///
  /// The report is ready within `bound` and at most 100 ms more, whatever the peer, the network and the application's
  /// code do. Code that blocks every thread of Swift's cooperative pool delays the task that waits for it, as it delays
  /// every task; ``BlockingWebSocket/shutdown(within:keepingUnread:)`` does not depend on the pool.
  /// Cancellation does not end it early. It can be called again, and from several tasks: the first call counts, and all
  /// get the same report. It does not wait for a task that runs on the sidecar and calls it, directly or from a child
  /// task.
  ///
  /// - Parameters:
  ///   - bound: How long it may take. Default: 5 s.
  ///   - keepingUnread: Whether unread messages can still be received. Default: false, which drops them.
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
