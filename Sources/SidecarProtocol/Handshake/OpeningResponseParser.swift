/// A server's answer that opens the connection (RFC 6455 §4.2.2), as the client accepted it.
@usableFromInline
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

  init(_ line: UnsafeRawBufferPointer) throws(HandshakeViolation) {
    let space = UInt8(ascii: " ")
    let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
    let (version, rest) = line.cut(at: space) ?? (line, nothing)
    // The space in front of an empty reason is often forgotten, and not missed.
    let (digits, reason) = rest.cut(at: space) ?? (rest, nothing)
    guard version.hasPrefix("HTTP/"), let code = Self.code(digits) else {
      throw .malformedStartLine(String(decoding: line, as: UTF8.self))
    }
    self.version = String(decoding: version, as: UTF8.self)
    guard version.hasPrefix("HTTP/1.") else { throw .unsupportedHTTPVersion(self.version) }
    self.code = code
    self.reason = String(decoding: reason, as: UTF8.self)
  }

  /// RFC 9112 §4: three digits, and none of the codes below 100 means anything (RFC 9110 §15).
  private static func code(_ digits: UnsafeRawBufferPointer) -> Int? {
    guard digits.count == 3, digits.allSatisfy((UInt8(ascii: "0")...UInt8(ascii: "9")).contains) else { return nil }
    let code = digits.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
    return code >= 100 ? code : nil
  }
}

extension HeaderFields {
  /// The value of a header that has to be there once.
  func requireOne(_ name: String) throws(HandshakeViolation) -> String {
    var value: String?
    for field in fields where field.name.equalsIgnoringCase(name) {
      guard value == nil else { throw .headerRepeated(name) }
      value = field.value
    }
    guard let value else { throw .headerMissing(name) }
    return value
  }

  /// RFC 6455 §4.1, items 2 and 3 of the answer; §4.2.1, items 3 and 4 of the request.
  func requireUpgrade() throws(HandshakeViolation) {
    let upgrades = count(of: "websocket", inList: "Upgrade")
    guard upgrades.matching > 0, upgrades.matching == upgrades.all else {
      let values = values("Upgrade")
      throw values.isEmpty ? .headerMissing("Upgrade") : .upgradeIsNotWebSocket(values.joined(separator: ", "))
    }
    guard count(of: "Upgrade", inList: "Connection").matching > 0 else {
      let values = values("Connection")
      throw values.isEmpty ? .headerMissing("Connection") : .connectionIsNotUpgrade(values.joined(separator: ", "))
    }
  }
}

// Interim: replaced by the handshake branch.
extension OpeningResponseParser {
  package mutating func receiveEndOfStream() -> HandshakeViolation { .malformedStartLine("") }
  package func partialRefusal() -> HandshakeViolation? { nil }
}
