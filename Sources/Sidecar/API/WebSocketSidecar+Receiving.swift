public import SidecarProtocol

extension WebSocketSidecar {
  /// The messages, as a stream that ends when the connection does; ``closeStatus`` then says how.
  ///
  /// Messages are read on demand: unread ones are bounded by ``WebSocketConfiguration/inboundCapacity``. Each message
  /// is delivered once, to the first that asks, so several streams share the messages. Ends early when the iterating
  /// task is cancelled. ``inbound`` is faster, and throws what ended the connection.
  public nonisolated var messages: AsyncStream<WebSocketMessage> {
    AsyncStream {
      if let message = self.inbox.nextAtFront() { return message }
      guard case .message(let message) = await self.inbox.next(until: .never) else { return nil }
      return message
    }
  }

  /// The messages, as a sequence that throws what ended the connection, unless its end was orderly (see
  /// ``CloseStatus/isOrderly``).
  public nonisolated var inbound: InboundMessages { InboundMessages(self) }

  /// Receives the next message; nil after an orderly end of the connection (see ``CloseStatus/isOrderly``).
  ///
  /// - Parameter timeout: How long to wait. Default: nil, as long as the connection lives.
  /// - Returns: The message; nil after an orderly end, when ``closeStatus`` says how.
  /// - Throws: ``WebSocketError/timedOut(_:)``, ``WebSocketError/cancelled`` (messages that arrived together with an
  ///   earlier one are still returned), or what ended the connection.
  @inlinable @inline(__always)
  public nonisolated func receive(timeout: Duration? = nil) async throws(WebSocketError) -> WebSocketMessage? {
    if let message = inbox.nextAtFront() { return message }
    return try await waitForNext(timeout: timeout)
  }

  @usableFromInline
  nonisolated func waitForNext(timeout: Duration?) async throws(WebSocketError) -> WebSocketMessage? {
    try await inbox.next(until: .after(timeout)).get()
  }
}
