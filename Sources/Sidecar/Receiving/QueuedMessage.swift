internal import SidecarProtocol

/// A message on its way from the read buffer to a receiver.
enum QueuedMessage: Sendable {
  /// What the receiver gets.
  case ready(WebSocketMessage)

  /// Valid UTF-8, of which the receiver's thread makes the string. It frees the string too: memory that one thread
  /// allocates and another frees costs several times as much.
  case text(WebSocketPayload)

  /// A small message, of which the receiver's thread makes what the receiver gets.
  case packed(PackedBatch)

  /// The message as the receiver gets it.
  var message: WebSocketMessage {
    @inline(__always) consuming get {
      switch self {
      case .ready(let message):
        return message
      case .text(let payload):
        return .text(payload.withUnsafeBytes { String(validUTF8: $0) })
      case .packed(var batch):
        return batch.takeFirst()
      }
    }
  }

  /// The size of the message in bytes.
  var byteCount: Int {
    switch self {
    case .ready(let message): message.byteCount
    case .text(let payload): payload.count
    case .packed(let batch): batch.firstByteCount
    }
  }
}
