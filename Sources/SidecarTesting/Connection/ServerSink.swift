internal import SidecarProtocol

/// Collects the messages of one read.
struct ServerSink: MessageSink, ~Copyable {
  private var messages: [WebSocketMessage] = []

  init() {}

  /// Removes and returns the messages collected so far.
  mutating func takeMessages() -> [WebSocketMessage] {
    defer { messages.removeAll(keepingCapacity: true) }
    return messages
  }

  mutating func receiveMessage(_ kind: MessageKind, _ bytes: UnsafeRawBufferPointer) {
    switch kind {
    case .text: messages.append(.text(String(decoding: bytes, as: UTF8.self)))
    case .binary: messages.append(.binary(WebSocketPayload(copying: bytes)))
    }
  }

  mutating func receiveMessage(_ kind: MessageKind, assembled payload: WebSocketPayload) {
    switch kind {
    case .text: messages.append(.text(payload.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }))
    case .binary: messages.append(.binary(payload))
    }
  }
}
