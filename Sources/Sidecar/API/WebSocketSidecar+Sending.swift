internal import SidecarExecutor
public import SidecarProtocol

extension WebSocketSidecar {
  /// Sends a message (RFC 6455 §6.1).
  ///
  /// Returns when the message is in the outbound queue, in the order of the calls. Suspends while
  /// ``WebSocketConfiguration/outboundCapacity`` bytes wait to be written.
  ///
  /// - Parameters:
  ///   - message: The message.
  ///   - compress: Whether to compress it, if that was agreed on. Pass false for data that does not shrink, or whose
  ///     size must not reveal it. Default: true.
  ///   - timeout: How long to wait. Default: nil, as long as the connection lives.
  /// - Throws: ``WebSocketError/timedOut(_:)`` or ``WebSocketError/cancelled`` (the message was not queued then),
  ///   ``WebSocketError/closed(_:)``, or what ended the connection.
  public nonisolated func send(
    _ message: WebSocketMessage, compress: Bool = true, timeout: Duration? = nil
  ) async throws(WebSocketError) {
    switch sendQueue.send(message, compress: compress, orWait: nil) {
    case .queued: return
    case .failed(let error): throw error
    case .notOpen, .full: try await sendWaiting(message, compress: compress, until: .after(timeout))
    }
  }

  private nonisolated func sendWaiting(
    _ message: WebSocketMessage, compress: Bool, until deadline: Deadline
  ) async throws(WebSocketError) {
    while true {
      switch sendQueue.send(message, compress: compress, orWait: nil) {
      case .queued: return
      case .failed(let error): throw error
      case .notOpen: _ = try await waitUntilOpen(by: deadline)
      case .full:
        let room = Promise<Void>()
        switch sendQueue.send(message, compress: compress, orWait: room) {
        case .queued: return
        case .failed(let error): throw error
        case .notOpen: continue
        case .full:
          let result = await room.value(until: deadline)
          if case .value = result { continue }
          _ = sendQueue.withdraw(room)
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
  /// In a message handler there is always room.
  ///
  /// - Returns: False, and nothing is sent, if the outbound queue is full or the connection is not open yet.
  /// - Throws: ``WebSocketError/closed(_:)``, or what ended the connection.
  public nonisolated func trySend(_ message: WebSocketMessage) throws(WebSocketError) -> Bool {
    try sendQueue.send(message, orWait: nil).wasQueued()
  }

  /// Sends a copy of `bytes` as a message if that is possible without waiting; see ``trySend(_:)``.
  ///
  /// - Throws: What ``trySend(_:)`` throws; ``WebSocketError/invalidText(offset:)`` if text is not UTF-8.
  public nonisolated func trySend(_ kind: MessageKind, _ bytes: RawSpan) throws(WebSocketError) -> Bool {
    let sendQueue = sendQueue
    return try bytes.withUnsafeBytes { bytes throws(WebSocketError) in
      if kind == .text {
        var validator = UTF8Validator()
        let invalid = validator.validate(bytes) ?? (validator.isComplete ? nil : bytes.count)
        if let invalid { throw .invalidText(offset: invalid) }
      }
      return sendQueue.send(kind, bytes, orWait: nil)
    }.wasQueued()
  }

  /// Sends a Ping and returns how long the Pong took (RFC 6455 §5.5.2).
  ///
  /// Waits for the connection to open first.
  ///
  /// - Parameters:
  ///   - payload: At most 125 bytes. Default: nil, a payload that no other Ping of this process has.
  ///   - timeout: How long to wait. Default: nil, as long as the connection lives.
  /// - Throws: ``WebSocketError/pingTooLong(byteCount:)``, ``WebSocketError/timedOut(_:)``,
  ///   ``WebSocketError/cancelled``, ``WebSocketError/closed(_:)``, or what ended the connection.
  @discardableResult
  public nonisolated func ping(
    _ payload: [UInt8]? = nil, timeout: Duration? = nil
  ) async throws(WebSocketError) -> Duration {
    let payload = try PendingPings.payload(payload)
    let deadline = Deadline.after(timeout)
    if shared.opened.current == nil { _ = try await waitUntilOpen(by: deadline, for: .pong) }
    let answer = postPing(payload)
    switch await answer.value(until: deadline) {
    case .value(let result): return try result.get()
    case .timedOut:
      shared.pings.forget(answer)
      throw .timedOut(.pong)
    case .cancelled:
      shared.pings.forget(answer)
      throw .cancelled
    }
  }

  nonisolated func postPing(_ payload: WebSocketPayload) -> PendingPings.Answer {
    let answer = PendingPings.Answer()
    shared.pings.expect(payload, answer: answer)
    connection.post { $0.sendPing(payload) }
    return answer
  }
}

extension SendQueue.EnqueueResult {
  /// Returns whether the message was queued; throws if none can be any more.
  func wasQueued() throws(WebSocketError) -> Bool {
    switch self {
    case .queued: return true
    case .full, .notOpen: return false
    case .failed(let error): throw error
    }
  }
}
