internal import SidecarExecutor
internal import SidecarProtocol

/// Compression of what is sent (RFC 7692); the receiver decompresses what comes.
extension ServerConnection {
  /// Begins to compress, and to take compressed messages, if the answer says so.
  func agreeOnCompression(_ answer: TestServer.Answer) {
    let extensions = answer["Sec-WebSocket-Extensions"] ?? ""
    guard extensions.utf8.starts(with: PermessageDeflate.name.utf8),
      let agreement = request?.deflateAnswer(options.compression)?.agreement
    else { return }
    self.agreement = agreement
    deflater = Deflater(agreement, role: .server)
  }

  /// The frame of a message that is sent once.
  func compressedIfAgreed(_ message: WebSocketMessage) -> RawFrame {
    guard let agreement else { return RawFrame.whole(message) }
    // Frames that the compressor does not know have moved what it would refer to. An empty window is always allowed.
    var deflater = contextIsStale ? Deflater(agreement, role: .server) : takeDeflater(agreement)
    contextIsStale = false
    let frame = RawFrame.compressed(message, by: &deflater)
    self.deflater = consume deflater
    return frame
  }

  private func takeDeflater(_ agreement: PermessageDeflate.Agreement) -> Deflater {
    switch deflater.take() {
    case .some(let deflater): deflater
    case .none: Deflater(agreement, role: .server)
    }
  }

  /// The frame of a message that is sent over and over: it refers to nothing but itself.
  func frameForRepetition(_ message: WebSocketMessage) -> RawFrame {
    guard let agreement else { return RawFrame.whole(message) }
    var deflater = Deflater(agreement, role: .server)
    return RawFrame.compressed(message, by: &deflater)
  }
}

extension RawFrame {
  /// The one frame of a message.
  fileprivate static func whole(_ message: WebSocketMessage) -> RawFrame {
    RawFrame(opcode: Opcode(message.kind).rawValue, payload: message.payloadBytes)
  }
}
