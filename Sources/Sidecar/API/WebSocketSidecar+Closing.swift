internal import SidecarExecutor
public import SidecarProtocol

extension WebSocketSidecar {
  /// How the connection ended; nil while it has not.
  public nonisolated var closeStatus: CloseStatus? { shared.status.current }

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
    switch await shared.ended.value(until: deadline) {
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
    sendQueue.refuse(.closed(nil))
    connection.post { $0.close(payload, deadline: deadline) }
    return deadline.instant.map { Deadline($0 + ShutdownStateMachine.grace) } ?? .never
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
