/// Why an opening handshake failed (RFC 6455 §4.1 and §4.2).
package enum HandshakeViolation: Error, Hashable, Sendable {
  // The bytes are not HTTP.
  case notHTTP(NonHTTPResponse)
  case endOfStream(HeadProgress, afterInterimResponses: Int)
  case malformedStartLine(String)
  case unsupportedHTTPVersion(String)
  case malformedHeaderLine(String)
  case lineEndsWithoutCarriageReturn
  case strayCarriageReturn
  case nulByte
  case foldedHeaderLine

  // The head is too large.
  case lineTooLong(limit: Int)
  case tooManyHeaders(limit: Int)
  case headTooLarge(limit: Int)

  // A client refuses the response.
  case refused(Refusal)
  case headerMissing(String)
  case headerRepeated(String)
  case upgradeIsNotWebSocket(String)
  case connectionIsNotUpgrade(String)
  case acceptMismatch(received: String, expected: String)
  case unrequestedSubprotocol(String)
  case unrequestedExtension(String)
  case extensionRepeated(String)
  case extensionParameters(ExtensionViolation)

  // A server refuses the request.
  case methodIsNotGet(String)
  case unsupportedWebSocketVersion(String)
  case malformedKey(String)

  /// The response of a server that does not open a WebSocket connection.
  package struct Refusal: Hashable, Sendable {
    package let status: Int
    package let reason: String
    package let headers: HeaderFields

    /// The body, at most its first 16 KiB. Chunks are joined; other transfer codings are not undone.
    package let body: [UInt8]

    /// False if the body is larger, did not arrive in time, was cut short, or is malformed.
    package let isBodyComplete: Bool

    package init(status: Int, reason: String, headers: HeaderFields, body: [UInt8] = [], isBodyComplete: Bool = true) {
      self.status = status
      self.reason = reason
      self.headers = headers
      self.body = body
      self.isBodyComplete = isBodyComplete
    }

    /// False if a transfer coding other than chunked has been applied to the body (RFC 9112 §7).
    package var isBodyDecoded: Bool {
      headers.list("Transfer-Encoding").allSatisfy { $0.equalsIgnoringCase("chunked") }
    }
  }
}

extension HandshakeViolation: CustomStringConvertible {
  package var description: String {
    switch self {
    case .notHTTP(let response): "the response is not HTTP/1.1: received \(response)"
    case .endOfStream(let progress, let interimResponses):
      "the server ended the stream \(Self.place(progress, interimResponses))"
    case .malformedStartLine(let line): "the first line is malformed: \(line.quotedForDisplay) (RFC 9112 §3, §4)"
    case .unsupportedHTTPVersion(let version):
      "the HTTP version is \(version.quotedNameForDisplay) and not 1.1 (RFC 6455 §4.1)"
    case .malformedHeaderLine(let line): "a header line is malformed: \(line.quotedForDisplay) (RFC 9112 §5)"
    case .lineEndsWithoutCarriageReturn: "a header line ends with LF instead of CR LF (RFC 9112 §2.2)"
    case .strayCarriageReturn: "a header line contains a CR that does not end it (RFC 9112 §2.2)"
    case .nulByte: "a header line contains a NUL byte (RFC 9110 §5.5)"
    case .foldedHeaderLine: "a header line begins with white space (RFC 9112 §5.2)"
    case .lineTooLong(let limit): "a header line is longer than \(limit) bytes"
    case .tooManyHeaders(let limit): "there are more than \(limit) header lines"
    case .headTooLarge(let limit): "the head is larger than \(limit) bytes"
    case .refused(let refusal): refusal.description
    case .headerMissing(let name): "the header \(name) is missing (RFC 6455 §4.1, §4.2.1)"
    case .headerRepeated(let name): "the header \(name) appears more than once (RFC 6455 §11.3)"
    case .upgradeIsNotWebSocket(let value):
      "the header Upgrade is \(value.quotedNameForDisplay) and not \"websocket\" (RFC 6455 §4.1)"
    case .connectionIsNotUpgrade(let value):
      "the header Connection is \(value.quotedNameForDisplay) without \"Upgrade\" (RFC 6455 §4.1)"
    case .acceptMismatch(let received, let expected):
      "the header Sec-WebSocket-Accept is \(received.quotedNameForDisplay) instead of \"\(expected)\" (RFC 6455 §4.1)"
    case .unrequestedSubprotocol(let name):
      "the server chose the subprotocol \(name.quotedNameForDisplay), which was not offered (RFC 6455 §4.1)"
    case .unrequestedExtension(let name):
      "the server chose the extension \(name.quotedNameForDisplay), which was not offered (RFC 6455 §4.1)"
    case .extensionRepeated(let name):
      "the server chose the extension \(name.quotedNameForDisplay) more than once (RFC 7692 §5.1)"
    case .extensionParameters(let violation): violation.description
    case .methodIsNotGet(let method): "the method is \(method.quotedNameForDisplay) and not GET (RFC 6455 §4.2.1)"
    case .unsupportedWebSocketVersion(let version):
      "the WebSocket version is \(version.quotedNameForDisplay) and not 13 (RFC 6455 §4.2.1)"
    case .malformedKey(let key):
      "the header Sec-WebSocket-Key is \(key.quotedNameForDisplay), not 16 bytes in base64 (RFC 6455 §4.2.1)"
    }
  }

  /// Says how much of a response had arrived.
  private static func place(_ progress: HeadProgress, _ interimResponses: Int) -> String {
    switch progress {
    case .nothing:
      interimResponses == 0
        ? "without a response" : "after \(interimResponses) interim response\(interimResponses == 1 ? "" : "s")"
    case .firstLine(let bytes): "in the first line of its response: received \(bytes.shownBytes)"
    case .header(let count): "in the header of its response, after \(count) line\(count == 1 ? "" : "s")"
    }
  }
}

extension HandshakeViolation.Refusal: CustomStringConvertible {
  package var description: String { HandshakeViolation.refusalDescription(status: status, reason: reason) }
}

extension HandshakeViolation {
  /// Describes a refusal in one line.
  package static func refusalDescription(status: Int, reason: String) -> String {
    "the server answered \(status)\(reason.isEmpty ? "" : " \(reason.escapedForDisplay)") instead of 101 (RFC 6455 §4.1)"
  }
}
