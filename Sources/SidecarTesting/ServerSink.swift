internal import SidecarProtocol

/// Collects what one read brought, in the order of the wire.
struct ServerSink: ReceiveSink, ~Copyable {
  enum Event {
    case message(WebSocketMessage)
    case ping([UInt8])
    case pong([UInt8])
    case close(CloseCode?, reason: String)
    case violation(ProtocolViolation)
  }

  private var arena = PayloadArena()
  private var events: [Event] = []

  init() {}

  mutating func takeEvents() -> [Event] {
    defer { events.removeAll(keepingCapacity: true) }
    return events
  }

  mutating func receiveMessage(_ kind: MessageKind, _ bytes: UnsafeRawBufferPointer) {
    switch kind {
    case .text: events.append(.message(.text(String(decoding: bytes, as: UTF8.self))))
    case .binary: events.append(.message(.binary(arena.store(bytes))))
    }
  }

  mutating func receiveMessage(_ kind: MessageKind, assembled payload: WebSocketPayload) {
    switch kind {
    case .text: events.append(.message(.text(payload.withUnsafeBytes { String(decoding: $0, as: UTF8.self) })))
    case .binary: events.append(.message(.binary(payload)))
    }
  }

  mutating func receivePing(_ bytes: UnsafeRawBufferPointer) {
    events.append(.ping(Array(bytes)))
  }

  mutating func receivePong(_ bytes: UnsafeRawBufferPointer) {
    events.append(.pong(Array(bytes)))
  }

  mutating func receiveClose(_ code: CloseCode?, reason: String) {
    events.append(.close(code, reason: reason))
  }

  mutating func receiveViolation(_ violation: ProtocolViolation) {
    events.append(.violation(violation))
  }
}
