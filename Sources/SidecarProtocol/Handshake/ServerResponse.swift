/// A server's response to an opening request, whether it opens the connection or not (RFC 6455 §4.2.2).
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

  /// Makes the response that opens the connection (RFC 6455 §4.2.2, item 5).
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

  /// The response on the wire. Nothing is checked: a test server may want to send what is wrong.
  package var bytes: [UInt8] {
    var bytes = Array("HTTP/1.1 \(status) \(reason)\r\n".utf8)
    for field in headers.fields { bytes.appendHeaderLine(field.name, field.value) }
    bytes.append(utf8: "\r\n")
    return bytes + body
  }
}
