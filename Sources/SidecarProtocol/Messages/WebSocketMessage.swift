/// Holds one message, as the application sends and receives it (RFC 6455 §5.6).
///
/// ```swift
/// let greeting: WebSocketMessage = "hello"
/// let bytes: WebSocketMessage = [0xCA, 0xFE]
/// ```
///
/// A value type: safe to share between threads.
public enum WebSocketMessage: Sendable, Hashable {
  /// Text, which travels as UTF-8.
  case text(String)

  /// Bytes whose meaning belongs to the application.
  case binary(WebSocketPayload)

  /// Makes a binary message of a copy of `bytes`.
  public static func binary(_ bytes: some Sequence<UInt8>) -> WebSocketMessage {
    .binary(WebSocketPayload(bytes))
  }

  /// The size of the message in bytes, before compression and framing; of text, in UTF-8.
  public var byteCount: Int {
    switch self {
    case .text(let text): text.utf8.count
    case .binary(let payload): payload.count
    }
  }

  /// Which of the two it is.
  public var kind: MessageKind {
    switch self {
    case .text: .text
    case .binary: .binary
    }
  }
}

extension WebSocketMessage: ExpressibleByStringInterpolation {
  /// Makes a text message of a string literal, interpolations included.
  public init(stringLiteral value: String) {
    self = .text(value)
  }
}

extension WebSocketMessage: ExpressibleByArrayLiteral {
  /// Makes a binary message of the bytes in the literal.
  public init(arrayLiteral elements: UInt8...) {
    self = .binary(WebSocketPayload(elements))
  }
}

extension WebSocketMessage: CustomStringConvertible {
  /// The text, or a description of the bytes.
  public var description: String {
    switch self {
    case .text(let text): text
    case .binary(let payload): payload.description
    }
  }
}
