internal import SidecarProtocol

/// Hands each message to the application's handler, in the read buffer and on the sidecar's thread.
struct HandlerSink: MessageSink, ~Copyable {
  let sidecar: WebSocketSidecar
  let handler: MessageHandler
  let gate: HandlerGate

  /// Tested before each message, so receiving one need not test the gate again.
  var isFull: Bool { !gate.isOpen }

  mutating func receiveMessage(_ kind: MessageKind, _ bytes: UnsafeRawBufferPointer) {
    handler(sidecar, kind, bytes.bytes)
  }

  mutating func receiveMessage(_ kind: MessageKind, assembled payload: WebSocketPayload) {
    // Its last bytes may have been read straight into its memory, without a test.
    guard !gate.isStopped else { return }
    payload.withUnsafeBytes { receiveMessage(kind, $0) }
  }
}

/// Drops messages, because a shutdown has been requested and the handler is not called any more.
struct DiscardingSink: MessageSink, ~Copyable {
  // Not empty: ThreadSanitizer crashes on a value without an address.
  private(set) var droppedCount = 0

  mutating func receiveMessage(_ kind: MessageKind, _ bytes: UnsafeRawBufferPointer) { droppedCount &+= 1 }

  mutating func receiveMessage(_ kind: MessageKind, assembled payload: WebSocketPayload) { droppedCount &+= 1 }
}
