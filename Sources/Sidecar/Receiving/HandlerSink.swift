internal import SidecarProtocol

/// Hands each message to the application's handler, in the read buffer and on the sidecar's thread.
struct HandlerSink: MessageSink, ~Copyable {
  let sidecar: WebSocketSidecar
  let handler: MessageHandler
  /// Unset once a shutdown is requested: the handler is not called any more, not even within one read.
  let mayCallHandler: AtomicFlag
  let sendQueue: SendQueue

  /// The handler may answer each message, so none is handed to it while the send queue is above its watermark.
  var isFull: Bool { sendQueue.isCongested }

  mutating func receiveMessage(_ kind: MessageKind, _ bytes: UnsafeRawBufferPointer) {
    guard mayCallHandler.isSet else { return }
    handler(sidecar, kind, bytes.bytes)
  }

  mutating func receiveMessage(_ kind: MessageKind, assembled payload: WebSocketPayload) {
    payload.withUnsafeBytes { receiveMessage(kind, $0) }
  }
}
