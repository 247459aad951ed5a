/// A client's request to open a WebSocket connection (RFC 6455 §4.1).
///
/// What there is of this type is valid: what could break the request, or smuggle a second one into it, is refused when it is
/// made. It never changes; a class, because it is handed on from step to step of the opening, and has many parts.
package final class OpeningRequest: Sendable {
  /// What cannot be part of a request.
  package enum Invalid: Error, Hashable, Sendable {
    case host(String)
    case port(Int)
    case target(String)
    case headerName(String)
    case headerValue(name: String, value: String)
    case reservedHeader(String)
    case origin(String)
    case subprotocol(String)
    case repeatedSubprotocol(String)
  }

  /// The value of `Host`: with brackets around an IPv6 address, and without a port that is the scheme's own.
  package let authority: String

  /// The path and query, which begins with `/`.
  package let target: String

  package let key: HandshakeKey
  package let origin: String?
  package let subprotocols: [String]
  package let deflate: PermessageDeflate.Offer?
  package let headers: HeaderFields

  /// The headers that the handshake owns; `Content-Length` and `Transfer-Encoding` would announce a body.
  private static let reservedHeaders = [
    "Host", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions", "Sec-WebSocket-Accept", "Content-Length", "Transfer-Encoding",
  ]

  /// Makes a request.
  ///
  /// `host` is a name or an address, in ASCII; an IPv6 address may have brackets or not. `headers` are added as they are,
  /// after those of the handshake; `Origin` may be among them if `origin` is `nil`.
  package init(
    host: String, port: Int, isSecure: Bool, target: String = "/", headers: HeaderFields = HeaderFields(),
    origin: String? = nil, subprotocols: [String] = [], deflate: PermessageDeflate.Offer? = nil,
    key: HandshakeKey = .random()
  ) throws(Invalid) {
    authority = try Self.authority(host: host, port: port, isSecure: isSecure)
    self.target = try Self.checkedTarget(target)
    for field in headers.fields { try Self.check(field, hasOrigin: origin != nil) }
    if let origin, origin.isEmpty || !origin.isHTTPFieldValue { throw .origin(origin) }
    for (index, name) in subprotocols.enumerated() {
      // RFC 6455 §4.1, item 10: tokens, each of them unique.
      guard name.isHTTPToken else { throw .subprotocol(name) }
      guard !subprotocols[..<index].contains(name) else { throw .repeatedSubprotocol(name) }
    }
    self.key = key
    self.origin = origin
    self.subprotocols = subprotocols
    self.deflate = deflate
    self.headers = headers
  }

  /// The request on the wire.
  package var bytes: [UInt8] {
    var bytes: [UInt8] = []
    // Room for most requests: it does not grow piece by piece.
    bytes.reserveCapacity(512)
    // RFC 6455 §4.1, items 1 to 12.
    bytes.append(utf8: "GET ")
    bytes.append(utf8: target)
    bytes.append(utf8: " HTTP/1.1\r\n")
    bytes.appendHeaderLine("Host", authority)
    bytes.append(utf8: "Upgrade: websocket\r\nConnection: Upgrade\r\n")
    bytes.appendHeaderLine("Sec-WebSocket-Key", key.value)
    bytes.append(utf8: "Sec-WebSocket-Version: 13\r\n")
    if let origin { bytes.appendHeaderLine("Origin", origin) }
    if !subprotocols.isEmpty { bytes.appendHeaderLine("Sec-WebSocket-Protocol", subprotocols.joined(separator: ", ")) }
    if let deflate { bytes.appendHeaderLine("Sec-WebSocket-Extensions", deflate.element.description) }
    for field in headers.fields { bytes.appendHeaderLine(field.name, field.value) }
    bytes.append(utf8: "\r\n")
    return bytes
  }

  private static func authority(host: String, port: Int, isSecure: Bool) throws(Invalid) -> String {
    guard (1...65_535).contains(port) else { throw .port(port) }
    var name = host
    if name.utf8.first == UInt8(ascii: "["), name.utf8.last == UInt8(ascii: "]") {
      name = String(Substring(name.utf8.dropFirst().dropLast()))
    }
    let isIPv6 = name.withUTF8Bytes { $0.firstOffset(of: UInt8(ascii: ":")) != nil }
    // RFC 6874 §4: a zone means something on this machine only, and stays out of what is sent.
    if isIPv6, let zone = name.firstIndex(of: "%") { name = String(name[..<zone]) }
    let isValid = name.withUTF8Bytes { $0.allSatisfy { isIPv6 ? $0.isIPv6Byte : $0.isHostByte } }
    guard isValid, !name.isEmpty else { throw .host(host) }
    if isIPv6 { name = "[\(name)]" }
    // RFC 6455 §4.1, item 4: the port, unless it is the scheme's own (§3).
    return port == (isSecure ? 443 : 80) ? name : "\(name):\(port)"
  }

  private static func checkedTarget(_ target: String) throws(Invalid) -> String {
    // RFC 6455 §3: an empty path is "/"; a query may follow it, a fragment may not.
    let isValid = target.withUTF8Bytes { $0.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "#") } }
    guard isValid else { throw .target(target) }
    switch target.utf8.first {
    case UInt8(ascii: "/"): return target
    case UInt8(ascii: "?"), nil: return "/\(target)"
    default: throw .target(target)
    }
  }

  private static func check(_ field: HeaderFields.Field, hasOrigin: Bool) throws(Invalid) {
    guard field.name.isHTTPToken else { throw .headerName(field.name) }
    // A line break in a value would begin another header, or another request.
    guard field.value.isHTTPFieldValue else { throw .headerValue(name: field.name, value: field.value) }
    let isReserved = reservedHeaders.contains { $0.equalsIgnoringCase(field.name) }
    if isReserved || hasOrigin && field.name.equalsIgnoringCase("Origin") { throw .reservedHeader(field.name) }
  }
}

extension OpeningRequest.Invalid: CustomStringConvertible {
  package var description: String {
    switch self {
    case .host(let host): "\"\(host)\" is no host name or address in ASCII"
    case .port(let port): "\(port) is no port: they go from 1 to 65535"
    case .target(let target):
      "\"\(target)\" is no path: it begins with \"/\" and has no spaces, fragments or bytes beyond ASCII"
    case .headerName(let name): "\"\(name)\" is no header name (RFC 9110 §5.1)"
    case .headerValue(let name, let value):
      "the value of the header \(name) has a control character: \(value.debugDescription) (RFC 9110 §5.5)"
    case .reservedHeader(let name): "the header \(name) belongs to the handshake and cannot be set"
    case .origin(let origin): "\(origin.debugDescription) is no origin (RFC 6454 §7)"
    case .subprotocol(let name): "\"\(name)\" is no subprotocol name (RFC 6455 §4.1)"
    case .repeatedSubprotocol(let name): "the subprotocol \"\(name)\" is offered twice (RFC 6455 §4.1)"
    }
  }
}

extension UInt8 {
  /// RFC 3986 §3.2.2: a registered name or an IPv4 address.
  fileprivate var isHostByte: Bool {
    switch self {
    // What a token allows and a host does not.
    case UInt8(ascii: "#"), UInt8(ascii: "^"), UInt8(ascii: "`"), UInt8(ascii: "|"): false
    default: isHTTPTokenByte
    }
  }

  fileprivate var isIPv6Byte: Bool {
    switch self {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
      UInt8(ascii: "A")...UInt8(ascii: "F"), UInt8(ascii: ":"), UInt8(ascii: "."):
      true
    default:
      false
    }
  }
}
