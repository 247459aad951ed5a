/// A client's request to open a WebSocket connection (RFC 6455 §4.1).
///
/// Every value is valid: what could break the request, or smuggle a second one into it, is refused when it is made. It
/// is immutable; a class, because it has many parts and every step of opening holds it.
package final class OpeningRequest: Sendable {
  /// Why a request cannot be made.
  ///
  /// Says where the fault is, and never what was given: headers, subprotocols and queries carry secrets.
  package enum Invalid: Error, Hashable, Sendable {
    case host
    case port(Int)
    /// The byte at `offset` cannot be part of a path or a query.
    case target(offset: Int)
    /// The name of the header at `index` has a byte that no name may have; a nil offset stands for an empty name.
    case headerName(index: Int, offset: Int?)
    /// The value has a control character at `offset`.
    case headerValue(name: String, offset: Int)
    /// The header belongs to the handshake.
    case reservedHeader(String)
    /// The origin has a control character at `offset`; a nil offset stands for an empty origin.
    case origin(offset: Int?)
    /// The subprotocol at `index` has a byte that no token may have; a nil offset stands for an empty name.
    case subprotocol(index: Int, offset: Int?)
    /// The subprotocol at `index` is offered before.
    case repeatedSubprotocol(index: Int)
    /// There is no key, because the system has no randomness to give.
    case randomness(RandomnessError)
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

  /// The headers that belong to the handshake. `Content-Length` and `Transfer-Encoding` would announce a body.
  private static let reservedHeaders = [
    "Host", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions", "Sec-WebSocket-Accept", "Content-Length", "Transfer-Encoding",
  ]

  /// Makes a request.
  ///
  /// - Parameter host: A name or an address, in ASCII. An IPv6 address may have brackets or not.
  /// - Parameter port: From 1 to 65535.
  /// - Parameter isSecure: Whether the scheme is `wss`, whose own port is 443.
  /// - Parameter target: The path and query, percent-encoded.
  /// - Parameter headers: Sent as they are, after those of the handshake. `Origin` may be among them if `origin` is
  ///   nil.
  /// - Parameter key: The key to send; nil makes a fresh one.
  package init(
    host: String, port: Int, isSecure: Bool, target: String = "/", headers: HeaderFields = HeaderFields(),
    origin: String? = nil, subprotocols: [String] = [], deflate: PermessageDeflate.Offer? = nil,
    key: HandshakeKey? = nil, randomness: RandomSource = .kernel
  ) throws(Invalid) {
    authority = try Self.authority(host: host, port: port, isSecure: isSecure)
    self.target = try Self.checkedTarget(target)
    for (index, field) in headers.fields.enumerated() { try Self.check(field, index, hasOrigin: origin != nil) }
    if let origin {
      if origin.isEmpty { throw .origin(offset: nil) }
      if let offset = origin.firstOffset(where: { !$0.isHTTPFieldValueByte }) { throw .origin(offset: offset) }
    }
    for (index, name) in subprotocols.enumerated() {
      // RFC 6455 §4.1, item 10: tokens, each of them unique.
      if name.isEmpty { throw .subprotocol(index: index, offset: nil) }
      if let offset = name.firstOffset(where: { !$0.isHTTPTokenByte }) {
        throw .subprotocol(index: index, offset: offset)
      }
      if subprotocols[..<index].contains(where: name.hasSameBytes) { throw .repeatedSubprotocol(index: index) }
    }
    if let key { self.key = key } else { self.key = try Self.freshKey(from: randomness) }
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

  private static func freshKey(from randomness: RandomSource) throws(Invalid) -> HandshakeKey {
    do {
      return try HandshakeKey.random(from: randomness)
    } catch {
      throw .randomness(error)
    }
  }

  private static func authority(host: String, port: Int, isSecure: Bool) throws(Invalid) -> String {
    guard (1...65_535).contains(port) else { throw .port(port) }
    var name = host
    if name.utf8.first == UInt8(ascii: "["), name.utf8.last == UInt8(ascii: "]") {
      name = String(Substring(name.utf8.dropFirst().dropLast()))
    }
    let isIPv6 = name.withUTF8Bytes { $0.firstOffset(of: UInt8(ascii: ":")) != nil }
    // RFC 6874 §4: a zone means something on this machine only, and stays out of what is sent.
    if isIPv6, let zone = name.utf8.firstIndex(of: UInt8(ascii: "%")) { name = String(name[..<zone]) }
    let isValid = name.withUTF8Bytes { $0.allSatisfy { isIPv6 ? $0.isIPv6Byte : $0.isHostByte } }
    guard isValid, !name.isEmpty else { throw .host }
    if isIPv6 { name = "[\(name)]" }
    // RFC 6455 §4.1, item 4: the port, unless it is the scheme's own (§3).
    return port == (isSecure ? 443 : 80) ? name : "\(name):\(port)"
  }

  private static func checkedTarget(_ target: String) throws(Invalid) -> String {
    // RFC 6455 §3: a fragment is not allowed.
    let wrong = target.firstOffset { !(0x21...0x7E).contains($0) || $0 == UInt8(ascii: "#") }
    if let wrong { throw .target(offset: wrong) }
    switch target.utf8.first {
    case UInt8(ascii: "/"): return target
    // §3: an empty path is "/".
    case UInt8(ascii: "?"), nil: return "/\(target)"
    default: throw .target(offset: 0)
    }
  }

  private static func check(_ field: HeaderFields.Field, _ index: Int, hasOrigin: Bool) throws(Invalid) {
    if field.name.isEmpty { throw .headerName(index: index, offset: nil) }
    if let offset = field.name.firstOffset(where: { !$0.isHTTPTokenByte }) {
      throw .headerName(index: index, offset: offset)
    }
    // A line break in a value would begin another header, or another request.
    if let offset = field.value.firstOffset(where: { !$0.isHTTPFieldValueByte }) {
      throw .headerValue(name: field.name, offset: offset)
    }
    let isReserved = reservedHeaders.contains { $0.equalsIgnoringCase(field.name) }
    if isReserved || hasOrigin && field.name.equalsIgnoringCase("Origin") { throw .reservedHeader(field.name) }
  }
}

extension OpeningRequest.Invalid: CustomStringConvertible {
  package var description: String {
    switch self {
    case .host: "the host is not a name or an address in ASCII"
    case .port(let port): "\(port) is not a port: ports go from 1 to 65535"
    case .target(let offset):
      "the path or query has a character at byte \(offset) that must be percent-encoded, or does not begin with \"/\""
    case .headerName(let index, nil): "the name of header \(index + 1) is empty (RFC 9110 §5.1)"
    case .headerName(let index, let offset?):
      "the name of header \(index + 1) has a character at byte \(offset) that no name may have (RFC 9110 §5.1)"
    case .headerValue(let name, let offset):
      "the value of the header \(name) has a control character at byte \(offset) (RFC 9110 §5.5)"
    case .reservedHeader(let name): "the header \(name) belongs to the handshake and cannot be set"
    case .origin(nil): "the origin is empty (RFC 6454 §7)"
    case .origin(let offset?): "the origin has a control character at byte \(offset) (RFC 6454 §7)"
    case .subprotocol(let index, nil): "the name of subprotocol \(index + 1) is empty (RFC 6455 §4.1)"
    case .subprotocol(let index, let offset?):
      "the name of subprotocol \(index + 1) has a character at byte \(offset) that no name may have (RFC 6455 §4.1)"
    case .repeatedSubprotocol(let index): "subprotocol \(index + 1) is offered twice (RFC 6455 §4.1)"
    case .randomness(let error): error.description
    }
  }
}

extension String {
  /// The offset in UTF-8 of the first byte that satisfies the predicate.
  fileprivate func firstOffset(where predicate: (UInt8) -> Bool) -> Int? {
    withUTF8Bytes { $0.firstIndex(where: predicate) }
  }
}

extension UInt8 {
  /// RFC 3986 §3.2.2: a registered name or an IPv4 address.
  fileprivate var isHostByte: Bool {
    switch self {
    // A token may have these, and a host may not.
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
