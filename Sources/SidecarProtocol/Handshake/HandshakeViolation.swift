/// Why an opening handshake failed (RFC 6455 §4.1 and §4.2).
package enum HandshakeViolation: Error, Hashable, Sendable {
  // What is no HTTP.
  case malformedStartLine(String)
  case unsupportedHTTPVersion(String)
  case malformedHeaderLine(String)
  case lineEndsWithoutCarriageReturn
  case strayCarriageReturn
  case nulByte
  case foldedHeaderLine

  // What is too much.
  case lineTooLong(limit: Int)
  case tooManyHeaders(limit: Int)
  case headTooLarge(limit: Int)

  // What a client refuses.
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

  // What a server refuses.
  case methodIsNotGet(String)
  case unsupportedWebSocketVersion(String)
  case malformedKey(String)

  /// The answer of a server that does not open a WebSocket connection.
  package struct Refusal: Hashable, Sendable {
    package let status: Int
    package let reason: String
    package let headers: HeaderFields

    /// The beginning of the body: at most 1 KiB of what arrived together with the end of the head.
    package let bodyPrefix: [UInt8]

    package init(status: Int, reason: String, headers: HeaderFields, bodyPrefix: [UInt8]) {
      self.status = status
      self.reason = reason
      self.headers = headers
      self.bodyPrefix = bodyPrefix
    }
  }
}

extension HandshakeViolation: CustomStringConvertible {
  package var description: String {
    switch self {
    case .malformedStartLine(let line): "the first line is not HTTP's: \"\(line)\" (RFC 9112 §3, §4)"
    case .unsupportedHTTPVersion(let version): "the HTTP version is \"\(version)\" and not 1.1 (RFC 6455 §4.1)"
    case .malformedHeaderLine(let line): "a header line is malformed: \"\(line)\" (RFC 9112 §5)"
    case .lineEndsWithoutCarriageReturn: "a header line ends with LF instead of CR LF (RFC 9112 §2.2)"
    case .strayCarriageReturn: "a header line contains a CR that does not end it (RFC 9112 §2.2)"
    case .nulByte: "a header line contains a NUL byte (RFC 9110 §5.5)"
    case .foldedHeaderLine: "a header line begins with white space (RFC 9112 §5.2)"
    case .lineTooLong(let limit): "a header line is longer than \(limit) bytes"
    case .tooManyHeaders(let limit): "there are more than \(limit) header lines"
    case .headTooLarge(let limit): "the head is larger than \(limit) bytes"
    case .refused(let refusal):
      "the server answered \(refusal.status)\(refusal.reason.isEmpty ? "" : " \(refusal.reason)") "
        + "instead of 101 (RFC 6455 §4.1)"
    case .headerMissing(let name): "the header \(name) is missing (RFC 6455 §4.1, §4.2.1)"
    case .headerRepeated(let name): "the header \(name) appears more than once (RFC 6455 §11.3)"
    case .upgradeIsNotWebSocket(let value): "the header Upgrade is \"\(value)\" and not \"websocket\" (RFC 6455 §4.1)"
    case .connectionIsNotUpgrade(let value):
      "the header Connection is \"\(value)\" without \"Upgrade\" (RFC 6455 §4.1)"
    case .acceptMismatch(let received, let expected):
      "the header Sec-WebSocket-Accept is \"\(received)\" instead of \"\(expected)\" (RFC 6455 §4.1)"
    case .unrequestedSubprotocol(let name): "the server chose the subprotocol \"\(name)\", not offered (RFC 6455 §4.1)"
    case .unrequestedExtension(let name): "the server chose the extension \"\(name)\", not offered (RFC 6455 §4.1)"
    case .extensionRepeated(let name): "the server chose the extension \"\(name)\" more than once (RFC 7692 §5.1)"
    case .extensionParameters(let violation): violation.description
    case .methodIsNotGet(let method): "the method is \(method) and not GET (RFC 6455 §4.2.1)"
    case .unsupportedWebSocketVersion(let version):
      "the WebSocket version is \"\(version)\" and not 13 (RFC 6455 §4.2.1)"
    case .malformedKey(let key): "the header Sec-WebSocket-Key is \"\(key)\", not 16 bytes in base64 (RFC 6455 §4.2.1)"
    }
  }
}
