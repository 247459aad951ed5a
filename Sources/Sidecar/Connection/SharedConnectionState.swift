internal import SidecarExecutor
internal import SidecarTransport

/// Every place in which a call can wait on a sidecar, in one list: whatever ends the connection ends the waiting in all
/// of them, and none is forgotten.
///
/// Tasks started with `run` wait in the ``TaskRegistry``, and shutdowns for the report; both outlive the connection.
struct SharedConnectionState: Sendable {
  /// Receivers.
  let inbox: Inbox
  /// Whether the message handler, if there is one, is still called.
  let gate = AtomicFlag()
  /// Senders that wait for room.
  let outbox: Outbox
  /// Whether a receiver waits for what a sender has asked. Ends no wait.
  let responseHint: ResponseHint
  /// Callers of `ping`.
  let pings = PendingPings()
  /// Callers that wait for the connection to open.
  let opened = Promise<Result<Opening, WebSocketError>>()
  /// Callers that wait for the connection to end. Completed when its descriptor is closed.
  let ended = Promise<CloseStatus>()

  /// What was agreed on when the connection opened.
  struct Opening: Sendable {
    let subprotocol: String?
    let remoteAddress: SocketAddress?
  }

  init(_ configuration: WebSocketConfiguration, thread: SidecarThread) {
    responseHint = ResponseHint(of: thread)
    inbox = Inbox(capacity: configuration.inboundCapacity, responseHint: responseHint)
    outbox = Outbox(highWatermark: configuration.outboundCapacity, thread: thread, responseHint: responseHint)
  }

  /// Ends every wait but the one for the end, because it is settled how the connection ends. Messages that have arrived
  /// can still be received.
  func release(_ status: CloseStatus) {
    let error = status.error ?? .closed(status)
    opened.complete(.failure(error))
    inbox.finish(status.isOrderly ? .orderly : .failed(error), discarding: false)
    outbox.refuse(error)
    pings.end(error)
  }

  /// Refuses new work and releases the receivers, because the application has asked for the end.
  func stopAccepting(keepingUnread: Bool) {
    gate.close()
    opened.complete(.failure(.closed(nil)))
    inbox.finish(.orderly, discarding: !keepingUnread)
    outbox.refuse(.closed(nil))
  }
}
