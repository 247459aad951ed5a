/// A server's response that opened the connection (RFC 6455 §4.2.2).
@usableFromInline
package struct OpeningResponse: Sendable, Hashable {
  package let headers: HeaderFields

  /// The subprotocol that the server chose among the offered ones, if any.
  package let subprotocol: String?

  /// The compression parameters in effect from now on, if compression was agreed on.
  package let deflate: PermessageDeflate.Agreement?
}

/// Reads a server's response to an opening request, however the bytes are cut (RFC 6455 §4.1).
///
/// Each byte costs the same however few arrive at once, as long as the parser is mutated in place: a second copy of it
/// makes every read copy the line that is being read.
package struct OpeningResponseParser: Sendable {
  private enum State {
    case head
    /// The response refuses the connection; its body is being read.
    case refusalBody(StatusLine, HeaderFields, HTTPBodyParser)
  }

  private let request: OpeningRequest
  private var parser = HTTPHeadParser<StatusLine>()
  private var state = State.head
  private var interimResponses = 0

  /// Makes a parser of the response to `request`.
  package init(request: OpeningRequest) {
    self.request = request
  }

  /// Takes the next bytes of the connection.
  ///
  /// The bytes after the blank line of a 101 are not consumed: they are the server's first frames.
  ///
  /// - Returns: How many bytes were consumed, and the response once it is complete.
  /// - Throws: Why the response does not open the connection. ``HandshakeViolation/refused(_:)`` comes only when the
  ///   body of the refusal is complete, malformed, or larger than what is kept. The parser must not be used afterwards.
  package mutating func receive(
    _ bytes: UnsafeRawBufferPointer
  ) throws(HandshakeViolation) -> (consumed: Int, response: OpeningResponse?) {
    var consumed = 0
    while true {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[consumed...])
      if case .refusalBody(let status, let headers, let body) = state {
        try receiveBody(rest, status, headers, body)
        return (bytes.count, nil)
      }
      let (count, head) = try parser.receive(rest)
      consumed += count
      guard let head else { return (consumed, nil) }
      let status = head.startLine
      switch status.code {
      case 101:
        return (consumed, try accept(head.headers, status))
      case 100...199:
        // RFC 9110 §15.2: interim responses may precede the final one. The limit of the head counts them all.
        interimResponses += 1
      default:
        let framing = HTTPBodyFraming(status: status.code, version: status.version, headers: head.headers)
        state = .refusalBody(status, head.headers, HTTPBodyParser(framing))
      }
    }
  }

  /// Returns what the end of the stream means here: a refusal whose body ends with the stream, or a response that was
  /// cut short, with what was received of it.
  package mutating func receiveEndOfStream() -> HandshakeViolation {
    switch state {
    case .refusalBody(let status, let headers, let body):
      return .refused(Self.refusal(status, headers, body, isBodyComplete: body.endsWithStream))
    case .head:
      return .endOfStream(parser.progress, afterInterimResponses: interimResponses)
    }
  }

  /// Returns the refusal whose body has not arrived in time, or nil if there is none.
  package func partialRefusal() -> HandshakeViolation? {
    guard case .refusalBody(let status, let headers, let body) = state else { return nil }
    return .refused(Self.refusal(status, headers, body, isBodyComplete: false))
  }

  private mutating func receiveBody(
    _ bytes: UnsafeRawBufferPointer, _ status: StatusLine, _ headers: HeaderFields, _ body: consuming HTTPBodyParser
  ) throws(HandshakeViolation) {
    // Otherwise appending to the body would copy it.
    state = .head
    switch body.receive(bytes) {
    case .needsMore: state = .refusalBody(status, headers, body)
    case .complete: throw .refused(Self.refusal(status, headers, body, isBodyComplete: true))
    case .givenUp: throw .refused(Self.refusal(status, headers, body, isBodyComplete: false))
    }
  }

  private static func refusal(
    _ status: StatusLine, _ headers: HeaderFields, _ body: HTTPBodyParser, isBodyComplete: Bool
  ) -> HandshakeViolation.Refusal {
    HandshakeViolation.Refusal(
      status: status.code, reason: status.reason, headers: headers, body: body.body, isBodyComplete: isBodyComplete)
  }

  /// Checks what RFC 6455 §4.1 asks of the response, in its order.
  private func accept(
    _ headers: HeaderFields, _ status: StatusLine
  ) throws(HandshakeViolation) -> OpeningResponse {
    guard status.version.hasSameBytes(as: "HTTP/1.1") else { throw .unsupportedHTTPVersion(status.version) }
    try headers.requireUpgrade()
    let accept = try headers.requireOne("Sec-WebSocket-Accept")
    let expected = request.key.accept
    guard accept.hasSameBytes(as: expected) else { throw .acceptMismatch(received: accept, expected: expected) }
    let deflate = try agreedDeflate(headers)
    return OpeningResponse(headers: headers, subprotocol: try chosenSubprotocol(headers), deflate: deflate)
  }

  private func chosenSubprotocol(_ headers: HeaderFields) throws(HandshakeViolation) -> String? {
    let values = headers.values("Sec-WebSocket-Protocol")
    // §11.3.4: at most once in a response.
    guard values.count <= 1 else { throw .headerRepeated("Sec-WebSocket-Protocol") }
    guard let name = values.first else { return nil }
    guard request.subprotocols.contains(where: name.hasSameBytes) else { throw .unrequestedSubprotocol(name) }
    return name
  }

  private func agreedDeflate(_ headers: HeaderFields) throws(HandshakeViolation) -> PermessageDeflate.Agreement? {
    var agreement: PermessageDeflate.Agreement?
    for text in headers.list("Sec-WebSocket-Extensions") {
      guard let element = ExtensionElement(parsing: text) else { throw .extensionParameters(.malformed(text)) }
      guard let offer = request.deflate, element.name.hasSameBytes(as: PermessageDeflate.name) else {
        throw .unrequestedExtension(element.name)
      }
      guard agreement == nil else { throw .extensionRepeated(element.name) }
      do {
        agreement = try offer.agreement(element)
      } catch {
        throw .extensionParameters(error)
      }
    }
    return agreement
  }
}
