/// How a wait for the next message ended.
enum ReceiveResult<Message: Sendable>: Sendable {
  case message(Message)

  /// No more messages come: the end was orderly, or the connection failed with this error.
  case ended(WebSocketError?)
  case timedOut
  case cancelled

  /// Converts the message, if there is one.
  @inline(__always)
  consuming func map<Other: Sendable>(_ transform: (consuming Message) -> Other) -> ReceiveResult<Other> {
    switch self {
    case .message(let message): .message(transform(message))
    case .ended(let error): .ended(error)
    case .timedOut: .timedOut
    case .cancelled: .cancelled
    }
  }
}

extension ReceiveResult<WebSocketMessage> {
  /// Returns the message, or nil for an orderly end; throws the rest.
  func get() throws(WebSocketError) -> WebSocketMessage? {
    switch self {
    case .message(let message): return message
    case .ended(nil): return nil
    case .ended(let error?): throw error
    case .timedOut: throw .timedOut(.receive)
    case .cancelled: throw .cancelled
    }
  }
}
