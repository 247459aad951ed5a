/// Takes the messages that a `MessageReceiver` finds, in the order of the wire.
///
/// Generic, so that the receive loop is compiled together with its sink and small calls are inlined. Pointers are valid
/// only during the call.
@usableFromInline
package protocol MessageSink: ~Copyable {
  /// Whether the receiver stops before the next message, although input is left.
  var isFull: Bool { get }

  /// Memory in which the bytes of the next message may be put before it is reported: where the sink would copy them to.
  var inflateDestination: UnsafeMutableRawBufferPointer { get }

  /// Takes a whole message whose bytes are in the read buffer, or are few. Text is valid UTF-8.
  mutating func receiveMessage(_ kind: MessageKind, _ bytes: UnsafeRawBufferPointer)

  /// Takes a whole text message that is ASCII and whose bytes are in the read buffer, or are few.
  mutating func receiveASCII(_ bytes: UnsafeRawBufferPointer)

  /// Takes a whole message that has memory of its own, because it came in pieces or was compressed. Text is valid
  /// UTF-8.
  mutating func receiveMessage(_ kind: MessageKind, assembled payload: WebSocketPayload)
}

extension MessageSink where Self: ~Copyable {
  /// For sinks that take everything.
  @inlinable
  package var isFull: Bool { false }

  /// For sinks that copy nothing, or elsewhere.
  @inlinable
  package var inflateDestination: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(start: nil, count: 0) }

  /// For sinks to which ASCII makes no difference.
  @inlinable
  package mutating func receiveASCII(_ bytes: UnsafeRawBufferPointer) {
    receiveMessage(.text, bytes)
  }
}

/// Why a `MessageReceiver` stopped before all input was consumed: the caller acts on it, and calls again for the rest.
@usableFromInline
package enum ReceiveInterruption {
  /// A Ping, to be answered by a Pong with the same payload (RFC 6455 §5.5.2). The bytes are valid until the next call.
  case ping(UnsafeRawBufferPointer)

  /// A Pong, asked for or not (RFC 6455 §5.5.3). The bytes are valid until the next call.
  case pong(UnsafeRawBufferPointer)

  /// The peer's Close frame. The receiver discards everything after it (RFC 6455 §5.5.1).
  case close(ClosePayload)

  /// The peer broke a rule or a limit. The receiver discards everything after it (RFC 6455 §7.1.7).
  case violation(ProtocolViolation)

  /// The sink is full, or the budget for decompressed bytes is used up.
  case pause
}

/// What a step of the receiver produced: a message for the sink, or an interruption.
@usableFromInline
enum ReceiveEvent {
  case message(MessageKind, UnsafeRawBufferPointer)
  case ascii(UnsafeRawBufferPointer)
  case assembledMessage(MessageKind, WebSocketPayload)
  case interruption(ReceiveInterruption)

  /// Hands a message to `sink`; returns what is not a message.
  @inlinable
  func deliver<Sink: MessageSink & ~Copyable>(to sink: inout Sink) -> ReceiveInterruption? {
    switch self {
    case .message(let kind, let bytes): sink.receiveMessage(kind, bytes)
    case .ascii(let bytes): sink.receiveASCII(bytes)
    case .assembledMessage(let kind, let payload): sink.receiveMessage(kind, assembled: payload)
    case .interruption(let interruption): return interruption
    }
    return nil
  }
}
