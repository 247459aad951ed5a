public import SidecarProtocol

/// The messages of a connection, as a sequence that throws what ended it.
///
/// ```swift
/// for try await message in sidecar.inbound { … }
/// ```
///
/// Ends at an orderly end of the connection (see ``CloseStatus/isOrderly``), and throws the same error as every other
/// call otherwise. Stays on the caller's executor: an element that has arrived is taken without a hop. Each message is
/// delivered once, to the first that asks.
///
/// In a cancelled task, throws ``WebSocketError/cancelled`` where it would wait. Cancellation is checked after each
/// batch of messages that arrived together, so a loop ends soon however fast messages come, and none is lost.
public struct InboundMessages: AsyncSequence, Sendable {
  /// A message.
  public typealias Element = WebSocketMessage
  /// What ended the connection, or ``WebSocketError/cancelled``.
  public typealias Failure = WebSocketError

  private let sidecar: WebSocketSidecar

  init(_ sidecar: WebSocketSidecar) {
    self.sidecar = sidecar
  }

  /// Makes an iterator over the messages that have not been received yet.
  public func makeAsyncIterator() -> Iterator {
    Iterator(sidecar: sidecar, inbox: sidecar.inbox)
  }

  /// Takes one message after the other. Keeps the sidecar alive.
  public struct Iterator: AsyncIteratorProtocol {
    let sidecar: WebSocketSidecar
    @usableFromInline let inbox: Inbox

    /// The next message, or nil after an orderly end of the connection.
    @inlinable @inline(__always)
    public mutating func next() async throws(WebSocketError) -> WebSocketMessage? {
      if let message = inbox.nextAtFront() { return message }
      return try await waitForNext(isolation: #isolation)
    }

    // Compiled into the loop that iterates: where a message has arrived, there is no asynchronous call left in it.
    /// The next message, or nil after an orderly end of the connection; without leaving the caller's actor.
    @inlinable @inline(__always)
    public mutating func next(
      isolation actor: isolated (any Actor)?
    ) async throws(WebSocketError) -> WebSocketMessage? {
      if let message = inbox.nextAtFront() { return message }
      return try await waitForNext(isolation: actor)
    }

    @usableFromInline
    func waitForNext(isolation actor: isolated (any Actor)?) async throws(WebSocketError) -> WebSocketMessage? {
      try await inbox.next(until: .never).get()
    }
  }
}
