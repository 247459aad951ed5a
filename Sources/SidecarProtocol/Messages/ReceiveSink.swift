/// What a receiver reports to, in the order of the wire.
///
/// Generic, so that the receive loop is compiled together with its sink: a report is not a call through a table, and the
/// small ones are inlined. Pointers are valid only during the call.
@usableFromInline
package protocol ReceiveSink: ~Copyable {
  /// Memory that the bytes of the next message may be put into before it is reported: where they would be copied to.
  var inflateDestination: UnsafeMutableRawBufferPointer { get }

  /// Takes a whole message whose bytes lie in the read buffer, or are few. Text is valid UTF-8.
  mutating func receiveMessage(_ kind: MessageKind, _ bytes: UnsafeRawBufferPointer)

  /// Takes a whole text that is ASCII and whose bytes lie in the read buffer, or are few.
  mutating func receiveASCII(_ bytes: UnsafeRawBufferPointer)

  /// Takes a whole message that has storage of its own by now, because it came in pieces or was compressed. Text is
  /// valid UTF-8.
  mutating func receiveMessage(_ kind: MessageKind, assembled payload: WebSocketPayload)

  /// Takes a Ping, which is to be answered by a Pong with the same payload (RFC 6455 §5.5.2).
  mutating func receivePing(_ bytes: UnsafeRawBufferPointer)

  /// Takes a Pong, asked for or not (RFC 6455 §5.5.3).
  mutating func receivePong(_ bytes: UnsafeRawBufferPointer)

  /// Takes the peer's Close frame. The receiver discards everything after it (RFC 6455 §5.5.1).
  mutating func receiveClose(_ code: CloseCode?, reason: String)

  /// Takes what the peer did against the protocol. The receiver discards everything after it (RFC 6455 §7.1.7).
  mutating func receiveViolation(_ violation: ProtocolViolation)
}

extension ReceiveSink where Self: ~Copyable {
  /// For sinks that copy nothing, or elsewhere.
  @inlinable
  package var inflateDestination: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(start: nil, count: 0) }

  /// For sinks to which it makes no difference.
  @inlinable
  package mutating func receiveASCII(_ bytes: UnsafeRawBufferPointer) {
    receiveMessage(.text, bytes)
  }
}

/// One report to a `ReceiveSink`, as the code that is compiled once hands it to the loop that is compiled per sink.
@usableFromInline
enum ReceiveEvent {
  case message(MessageKind, UnsafeRawBufferPointer)
  case ascii(UnsafeRawBufferPointer)
  case assembledMessage(MessageKind, WebSocketPayload)
  case ping(UnsafeRawBufferPointer)
  case pong(UnsafeRawBufferPointer)
  case close(CloseCode?, reason: String)
  case violation(ProtocolViolation)

  @inlinable
  func report<Sink: ReceiveSink & ~Copyable>(to sink: inout Sink) {
    switch self {
    case .message(let kind, let bytes): sink.receiveMessage(kind, bytes)
    case .ascii(let bytes): sink.receiveASCII(bytes)
    case .assembledMessage(let kind, let payload): sink.receiveMessage(kind, assembled: payload)
    case .ping(let bytes): sink.receivePing(bytes)
    case .pong(let bytes): sink.receivePong(bytes)
    case .close(let code, let reason): sink.receiveClose(code, reason: reason)
    case .violation(let violation): sink.receiveViolation(violation)
    }
  }
}
