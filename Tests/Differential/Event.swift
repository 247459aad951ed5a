import SidecarProtocol

/// What a parser reports, in the words that all of them share.
enum Event: Equatable {
  case text([UInt8])
  case binary([UInt8])
  case ping([UInt8])
  case pong([UInt8])
  /// The payload of a Close frame.
  case close([UInt8])
  case violation(code: UInt16)
  /// A parser failed in a way that it has no word for.
  case crash(String)
}

extension Event: CustomStringConvertible {
  var description: String {
    switch self {
    case .text(let bytes): "text \(Self.brief(bytes))"
    case .binary(let bytes): "binary \(Self.brief(bytes))"
    case .ping(let bytes): "ping \(Self.brief(bytes))"
    case .pong(let bytes): "pong \(Self.brief(bytes))"
    case .close(let bytes): "close \(Self.brief(bytes))"
    case .violation(let code): "violation \(code)"
    case .crash(let error): "crash \(error)"
    }
  }

  private static func brief(_ bytes: [UInt8]) -> String {
    "\(bytes.count): \(bytes.prefix(12).map { String($0, radix: 16) }.joined(separator: " "))"
  }
}

/// What this library's receiver makes of a conversation.
struct OurReception: MessageSink {
  private(set) var events: [Event] = []
  /// The rule behind the violation.
  private(set) var rule: ProtocolViolation.Rule?

  init(of conversation: Conversation) {
    var receiver = MessageReceiver(
      role: conversation.role, limits: ProtocolLimits(maximumMessageSize: conversation.limit),
      deflate: conversation.deflate)
    var bytes = conversation.bytes
    bytes.withUnsafeMutableBytes { bytes in
      var start = 0
      for size in conversation.pieces {
        if var input = ReadCursor(UnsafeMutableRawBufferPointer(rebasing: bytes[start..<(start + size)])) {
          while let interruption = receiver.receive(&input, into: &self) { note(interruption) }
        }
        start += size
      }
    }
  }

  mutating func receiveMessage(_ kind: MessageKind, _ bytes: UnsafeRawBufferPointer) {
    events.append(kind == .text ? .text(Array(bytes)) : .binary(Array(bytes)))
  }

  mutating func receiveMessage(_ kind: MessageKind, assembled payload: WebSocketPayload) {
    payload.withUnsafeBytes { receiveMessage(kind, $0) }
  }

  private mutating func note(_ interruption: ReceiveInterruption) {
    switch interruption {
    case .ping(let bytes): events.append(.ping(Array(bytes)))
    case .pong(let bytes): events.append(.pong(Array(bytes)))
    case .close(let close): events.append(.close(close.withUnsafeBytes { Array($0) }))
    case .violation(let violation):
      events.append(.violation(code: violation.closeCode.rawValue))
      rule = violation.rule
    case .pause: break
    }
  }
}
