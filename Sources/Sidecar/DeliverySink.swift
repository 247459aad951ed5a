internal import WebSocketProtocol

/// Collects what one read brought, so that it is handed on in one go.
struct DeliverySink: ReceiveSink, ~Copyable {
  private var arena = PayloadArena()
  /// The messages, oldest first.
  var messages: [WebSocketMessage] = []
  /// What they are charged in the inbox.
  var cost = 0
  /// The latest Ping: a Pong may answer it for all before it (RFC 6455 §5.5.3).
  var ping: WebSocketPayload?
  var pongs: [WebSocketPayload] = []
  /// The peer's Close frame.
  var close: (code: CloseCode?, reason: String)?
  var violation: ProtocolViolation?

  init() {}

  mutating func receiveMessage(_ kind: MessageKind, _ bytes: UnsafeRawBufferPointer) {
    cost += bytes.count + Inbox.overheadPerMessage
    switch kind {
    case .text: messages.append(.text(String(decoding: bytes, as: UTF8.self)))
    case .binary: messages.append(.binary(arena.store(bytes)))
    }
  }

  mutating func receiveMessage(_ kind: MessageKind, assembled payload: WebSocketPayload) {
    cost += payload.count + Inbox.overheadPerMessage
    switch kind {
    case .text: messages.append(.text(payload.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }))
    case .binary: messages.append(.binary(payload))
    }
  }

  mutating func receivePing(_ bytes: UnsafeRawBufferPointer) {
    ping = WebSocketPayload(copying: bytes)
  }

  mutating func receivePong(_ bytes: UnsafeRawBufferPointer) {
    pongs.append(WebSocketPayload(copying: bytes))
  }

  mutating func receiveClose(_ code: CloseCode?, reason: String) {
    close = (code, reason)
  }

  mutating func receiveViolation(_ violation: ProtocolViolation) {
    self.violation = violation
  }
}
