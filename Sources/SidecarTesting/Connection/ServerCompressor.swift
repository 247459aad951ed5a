internal import SidecarProtocol

/// Makes the frames of a connection's messages: compressed once permessage-deflate is agreed on (RFC 7692), plain
/// before.
struct ServerCompressor: ~Copyable {
  private var agreement: PermessageDeflate.Agreement?

  /// Shares its window with the client; nil until the first message, and after ``invalidateContext()``.
  private var deflater: Deflater?

  /// True once compression is agreed on.
  var isActive: Bool { agreement != nil }

  /// Compresses every message from now on.
  mutating func begin(_ agreement: PermessageDeflate.Agreement) {
    self.agreement = agreement
  }

  /// Drops the window, because the client's holds data that the deflater has not seen. The next message refers to
  /// nothing before it, which is always allowed.
  mutating func invalidateContext() {
    deflater = nil
  }

  /// Makes the frame of a message that is sent once, next.
  mutating func frame(of message: WebSocketMessage) -> RawFrame {
    guard let agreement else { return RawFrame.whole(message) }
    var deflater = takeDeflater(agreement)
    let frame = RawFrame.compressed(message, by: &deflater)
    self.deflater = consume deflater
    return frame
  }

  /// Makes the frame of a message that is sent repeatedly, so it refers to nothing but itself.
  func selfContainedFrame(of message: WebSocketMessage) -> RawFrame {
    guard let agreement else { return RawFrame.whole(message) }
    var deflater = Deflater(agreement, role: .server)
    return RawFrame.compressed(message, by: &deflater)
  }

  private mutating func takeDeflater(_ agreement: PermessageDeflate.Agreement) -> Deflater {
    switch deflater.take() {
    case .some(let deflater): deflater
    case .none: Deflater(agreement, role: .server)
    }
  }
}

extension RawFrame {
  /// The one frame of a message, not compressed.
  fileprivate static func whole(_ message: WebSocketMessage) -> RawFrame {
    RawFrame(opcode: Opcode(message.kind).rawValue, payload: message.payloadBytes)
  }
}
