/// A client's opening request as a server read it (RFC 6455 §4.2.1).
@usableFromInline
package struct ReceivedOpeningRequest: Sendable, Hashable {
  package let target: String
  package let headers: HeaderFields
  package let key: HandshakeKey
  package let subprotocols: [String]
  package let extensions: [ExtensionElement]
}

/// Reads an opening request, however the bytes are cut, and judges it (RFC 6455 §4.2.1).
package struct OpeningRequestParser: Sendable {
  private var parser = HTTPHeadParser<RequestLine>()

  package init() {}

  /// Takes the next bytes of the connection; those behind the blank line are not consumed.
  ///
  /// Throws when the request is none that opens a WebSocket connection; the parser is of no further use then.
  package mutating func receive(
    _ bytes: UnsafeRawBufferPointer
  ) throws(HandshakeViolation) -> (consumed: Int, request: ReceivedOpeningRequest?) {
    let (consumed, head) = try parser.receive(bytes)
    guard let head else { return (consumed, nil) }
    // RFC 6455 §4.2.1, items 1 to 6.
    guard head.startLine.version == "HTTP/1.1" else { throw .unsupportedHTTPVersion(head.startLine.version) }
    guard head.startLine.method == "GET" else { throw .methodIsNotGet(head.startLine.method) }
    _ = try head.headers.requireOne("Host")
    try head.headers.requireUpgrade()
    let key = HandshakeKey(try head.headers.requireOne("Sec-WebSocket-Key"))
    guard key.isWellFormed else { throw .malformedKey(key.value) }
    let version = try head.headers.requireOne("Sec-WebSocket-Version")
    guard version == "13" else { throw .unsupportedWebSocketVersion(version) }
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

/// What a server answers, whether it opens the connection or not.
package struct ServerResponse: Sendable, Hashable {
  package var status: Int
  package var reason: String
  package var headers: HeaderFields
  package var body: [UInt8]

  package init(status: Int, reason: String, headers: HeaderFields = HeaderFields(), body: [UInt8] = []) {
    self.status = status
    self.reason = reason
    self.headers = headers
    self.body = body
  }

  /// Makes the answer that opens the connection (RFC 6455 §4.2.2, item 5).
  package init(
    accepting request: ReceivedOpeningRequest, subprotocol: String? = nil, deflate: ExtensionElement? = nil,
    headers: HeaderFields = HeaderFields()
  ) {
    self.init(
      status: 101, reason: "Switching Protocols",
      headers: ["Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": request.key.accept])
    if let subprotocol { self.headers.append("Sec-WebSocket-Protocol", subprotocol) }
    if let deflate { self.headers.append("Sec-WebSocket-Extensions", deflate.description) }
    for field in headers.fields { self.headers.append(field.name, field.value) }
  }

  /// The answer on the wire, as it is: a test server may want to send what is wrong.
  package var bytes: [UInt8] {
    var bytes = Array("HTTP/1.1 \(status) \(reason)\r\n".utf8)
    for field in headers.fields { bytes.appendHeaderLine(field.name, field.value) }
    bytes.append(utf8: "\r\n")
    return bytes + body
  }
}
