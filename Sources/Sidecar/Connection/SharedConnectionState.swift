internal import SidecarExecutor
internal import SidecarTransport

/// What a connection shares with other threads: every place in which a call can wait, in one list.
///
/// Whatever ends the connection releases all of them, so none is forgotten. Two waits outlive the connection and are
/// elsewhere: for tasks started with `run` (``TaskRegistry``), and for shutdowns (``ShutdownCoordinator``).
struct SharedConnectionState: Sendable {
  /// Receivers.
  let inbox: Inbox
  /// Senders that wait for room.
  let sendQueue: SendQueue
  /// Callers of `ping`.
  let pings = PendingPings()
  /// Callers that wait for the connection to open.
  let opened = Promise<Result<NegotiatedConnection, WebSocketError>>()
  /// The latest moment at which opening has failed. Waiting callers check it themselves, because the loop's timers do
  /// not fire while application code blocks the thread.
  let openingDeadline: Deadline
  /// How the connection ends, as soon as nothing can change it. Set before any receiver is told of the end.
  let settledStatus = Promise<CloseStatus>()
  /// Callers that wait for the end. Set last, when the descriptor is closed.
  let closed = Promise<CloseStatus>()

  /// Whether a reply is outstanding and a receiver waits. No call waits on this.
  let responseHint: ResponseHint
  /// Whether the message handler, if there is one, may be called.
  let handlerGate = HandlerGate()

  /// What was agreed on when the connection opened.
  struct NegotiatedConnection: Sendable {
    let subprotocol: String?
    let compression: WebSocketCompression.Negotiated?
    let remoteAddress: SocketAddress?
  }

  init(_ configuration: WebSocketConfiguration, thread: SidecarThread) {
    openingDeadline = Deadline(
      .now + configuration.resolutionTimeout + configuration.connectTimeout + configuration.handshakeTimeout
        + ShutdownStateMachine.grace)
    responseHint = ResponseHint(of: thread)
    inbox = Inbox(capacity: configuration.inboundCapacity, responseHint: responseHint)
    sendQueue = SendQueue(
      highWatermark: configuration.outboundCapacity, offersCompression: configuration.compression != nil,
      thread: thread, responseHint: responseHint, handlerGate: handlerGate)
  }

  /// Releases every waiting call except those that wait for ``closed``. Messages that have arrived can still be
  /// received.
  ///
  /// - Returns: The first status that was set.
  func release(_ status: CloseStatus) -> CloseStatus {
    settledStatus.complete(status)
    let status = settledStatus.current ?? status
    let error = status.errorForLaterCalls
    opened.complete(.failure(error))
    sendQueue.refuse(error)
    pings.end(error)
    inbox.finish(status.isOrderly ? nil : error)
    return status
  }

  /// Refuses new messages and Pings, because closing has begun. What is queued is still written.
  func refuseNewSends() {
    sendQueue.refuse(.closed(nil))
    pings.refuse(.closed(nil))
  }

  /// Releases senders and pings: nothing can be written any more, but messages may still be read.
  func releaseSenders(_ error: WebSocketError) {
    sendQueue.refuse(error)
    pings.end(error)
  }

  /// Refuses new work, because the application has asked for the end.
  ///
  /// Receivers are released when it is known how the connection ended, which the shutdown bounds: so `closeStatus` is
  /// set when they return.
  func stopAccepting(keepingUnread: Bool) {
    handlerGate.stop()
    opened.complete(.failure(.closed(nil)))
    refuseNewSends()
    inbox.requestEnd()
    if keepingUnread { inbox.letOverflow() } else { inbox.discardAll() }
  }
}
