/// A server's answer that opens the connection (RFC 6455 §4.2.2), as the client accepted it.
package struct OpeningResponse: Sendable, Hashable {
  package let headers: HeaderFields

  /// The subprotocol that the server chose among the offered ones, if any.
  package let subprotocol: String?

  /// What compression was agreed on, if any.
  package let deflate: PermessageDeflate.Agreement?
}

/// Reads a server's answer to an opening request, however the bytes are cut, and judges it (RFC 6455 §4.1).
package struct OpeningResponseParser: Sendable {
  /// The most bytes of a refusal's body that are kept: enough for a message, little enough for a log.
  private static let maximumBodyPrefix = 1024

  private let request: OpeningRequest
  private var parser = HTTPHeadParser<StatusLine>()

  /// Makes a parser of the answer to `request`.
  package init(request: OpeningRequest) {
    self.request = request
  }

  /// Takes the next bytes of the connection.
  ///
  /// Bytes behind the blank line are not consumed: they are the server's first frames. Throws when the answer is not one
  /// that opens the connection; the parser is of no further use then.
  package mutating func receive(
    _ bytes: UnsafeRawBufferPointer
  ) throws(HandshakeViolation) -> (consumed: Int, response: OpeningResponse?) {
    var consumed = 0
    while consumed < bytes.count {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[consumed...])
      let (count, head) = try parser.receive(rest)
      consumed += count
      guard let head else { break }
      let status = head.startLine
      switch status.code {
      case 101:
        return (consumed, try accept(head.headers, status))
      case 100...199:
        // RFC 9110 §15.2: interim responses may come before the final one. The limit of the head counts them all.
        continue
      default:
        throw .refused(
          HandshakeViolation.Refusal(
            status: status.code, reason: status.reason, headers: head.headers,
            bodyPrefix: Array(bytes[consumed...].prefix(Self.maximumBodyPrefix))))
      }
    }
    return (consumed, nil)
  }

  /// RFC 6455 §4.1: what a client checks, in its order.
  private func accept(
    _ headers: HeaderFields, _ status: StatusLine
  ) throws(HandshakeViolation) -> OpeningResponse {
    guard status.version == "HTTP/1.1" else { throw .unsupportedHTTPVersion(status.version) }
    try headers.requireUpgrade()
    let accept = try headers.requireOne("Sec-WebSocket-Accept")
    let expected = request.key.accept
    guard accept == expected else { throw .acceptMismatch(received: accept, expected: expected) }
    let deflate = try agreedDeflate(headers)
    return OpeningResponse(headers: headers, subprotocol: try chosenSubprotocol(headers), deflate: deflate)
  }

  private func chosenSubprotocol(_ headers: HeaderFields) throws(HandshakeViolation) -> String? {
    let values = headers.values("Sec-WebSocket-Protocol")
    // §11.3.4: once at most in a response.
    guard values.count <= 1 else { throw .headerRepeated("Sec-WebSocket-Protocol") }
    guard let name = values.first else { return nil }
    guard request.subprotocols.contains(name) else { throw .unrequestedSubprotocol(name) }
    return name
  }

  private func agreedDeflate(_ headers: HeaderFields) throws(HandshakeViolation) -> PermessageDeflate.Agreement? {
    var agreement: PermessageDeflate.Agreement?
    for text in headers.list("Sec-WebSocket-Extensions") {
      guard let element = ExtensionElement(parsing: text) else { throw .extensionParameters(.malformed(text)) }
      guard let offer = request.deflate, element.name == PermessageDeflate.name else {
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

/// The first line of a response (RFC 9112 §4).
struct StatusLine: HTTPStartLine {
  static let allowsFolding = true

  let version: String
  let code: Int
  let reason: String

  init(_ line: String) throws(HandshakeViolation) {
    let parts = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
    // The space in front of an empty reason is often forgotten, and not missed.
    guard parts.count >= 2, parts[0].hasPrefix("HTTP/"), parts[1].utf8.count == 3,
      parts[1].utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }), let code = Int(parts[1]),
      code >= 100
    else { throw .malformedStartLine(line) }
    version = String(parts[0])
    guard version.hasPrefix("HTTP/1.") else { throw .unsupportedHTTPVersion(version) }
    self.code = code
    reason = parts.count == 3 ? String(parts[2]) : ""
  }
}

extension HeaderFields {
  /// The value of a header that has to be there once.
  func requireOne(_ name: String) throws(HandshakeViolation) -> String {
    let values = values(name)
    guard let value = values.first else { throw .headerMissing(name) }
    guard values.count == 1 else { throw .headerRepeated(name) }
    return value
  }

  /// RFC 6455 §4.1, items 2 and 3 of the answer; §4.2.1, items 3 and 4 of the request.
  func requireUpgrade() throws(HandshakeViolation) {
    guard first("Upgrade") != nil else { throw .headerMissing("Upgrade") }
    let upgrades = list("Upgrade")
    guard upgrades.allSatisfy({ $0.equalsIgnoringCase("websocket") }), !upgrades.isEmpty else {
      throw .upgradeIsNotWebSocket(values("Upgrade").joined(separator: ", "))
    }
    guard first("Connection") != nil else { throw .headerMissing("Connection") }
    guard list("Connection").contains(where: { $0.equalsIgnoringCase("Upgrade") }) else {
      throw .connectionIsNotUpgrade(values("Connection").joined(separator: ", "))
    }
  }
}
