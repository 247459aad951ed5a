/// A client's opening request as a server received it (RFC 6455 §4.2.1).
@usableFromInline
package struct ReceivedOpeningRequest: Sendable {
  package let target: String
  package let headers: HeaderFields
  package let key: HandshakeKey
  package let subprotocols: [String]
  package let extensions: [ExtensionElement]
}

// What is not compared here is read from the header.
extension ReceivedOpeningRequest: Hashable {
  @usableFromInline package static func == (one: ReceivedOpeningRequest, other: ReceivedOpeningRequest) -> Bool {
    one.target.hasSameBytes(as: other.target) && one.headers == other.headers
  }

  @usableFromInline package func hash(into hasher: inout Hasher) {
    hasher.combine(bytesOf: target)
    hasher.combine(headers)
  }
}

/// Reads an opening request, however the bytes are cut, and checks it (RFC 6455 §4.2.1).
package struct OpeningRequestParser: Sendable {
  private var parser = HTTPHeadParser<RequestLine>()

  package init() {}

  /// Takes the next bytes of the connection; those after the blank line are not consumed.
  ///
  /// - Returns: How many bytes were consumed, and the request once it is complete.
  /// - Throws: Why the request does not open a WebSocket connection. The parser must not be used afterwards.
  package mutating func receive(
    _ bytes: UnsafeRawBufferPointer
  ) throws(HandshakeViolation) -> (consumed: Int, request: ReceivedOpeningRequest?) {
    let (consumed, head) = try parser.receive(bytes)
    guard let head else { return (consumed, nil) }
    // RFC 6455 §4.2.1, items 1 to 6.
    guard head.startLine.version.hasSameBytes(as: "HTTP/1.1") else {
      throw .unsupportedHTTPVersion(head.startLine.version)
    }
    guard head.startLine.method.hasSameBytes(as: "GET") else { throw .methodIsNotGet(head.startLine.method) }
    _ = try head.headers.requireOne("Host")
    try head.headers.requireUpgrade()
    let key = HandshakeKey(try head.headers.requireOne("Sec-WebSocket-Key"))
    guard key.isWellFormed else { throw .malformedKey(key.value) }
    let version = try head.headers.requireOne("Sec-WebSocket-Version")
    guard version.hasSameBytes(as: "13") else { throw .unsupportedWebSocketVersion(version) }
    var extensions: [ExtensionElement] = []
    for text in head.headers.list("Sec-WebSocket-Extensions") {
      guard let element = ExtensionElement(parsing: text) else { throw .extensionParameters(.malformed(text)) }
      extensions.append(element)
    }
    let request = ReceivedOpeningRequest(
      target: head.startLine.target, headers: head.headers, key: key,
      subprotocols: head.headers.list("Sec-WebSocket-Protocol"), extensions: extensions)
    return (consumed, request)
  }
}

/// The first line of a request (RFC 9112 §3).
struct RequestLine: HTTPStartLine {
  static let allowsFolding = false

  // A server tells a wrong request by its whole first line.
  static let prefix: StaticString = ""

  let method: String
  let target: String
  let version: String

  init(_ line: UnsafeRawBufferPointer) throws(HandshakeViolation) {
    let space = UInt8(ascii: " ")
    guard let (method, rest) = line.cut(at: space), let (target, version) = rest.cut(at: space),
      method.isHTTPToken, !target.isEmpty, version.hasPrefix("HTTP/"), version.firstOffset(of: space) == nil
    else { throw .malformedStartLine(String(decoding: line, as: UTF8.self)) }
    self.method = String(decoding: method, as: UTF8.self)
    self.target = String(decoding: target, as: UTF8.self)
    self.version = String(decoding: version, as: UTF8.self)
  }
}
