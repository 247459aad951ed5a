internal import SidecarProtocol

/// The parts of a `ws` URL (RFC 6455 §3, RFC 3986).
///
/// Parsed by hand: `URLComponents` decodes hosts only in programs that link all of Foundation, encodes escapes a second
/// time, and loses a port that overflows.
struct WebSocketURL: Sendable, Hashable {
  /// As it was given. It may hold secrets: see ``redacted``.
  private let text: String
  /// A name in ASCII, an IPv4 address, or an IPv6 address without brackets, perhaps with a zone.
  let host: String
  let port: UInt16
  /// The path and query as they are written in the request line. Never empty.
  let resource: String

  /// The URL as errors show it: without user information and query.
  var redacted: String { URLRedaction.redact(text) }

  /// Parses a URL. White space around it is ignored.
  ///
  /// - Throws: ``WebSocketError/invalidURL(_:reason:)``, which shows neither user information nor the query.
  init(_ text: String) throws(WebSocketError) {
    let text = text.trimmingWhitespace
    do throws(URLSyntaxError) {
      let parts = try URLParts(text)
      host = try URLHost.parse(parts.host)
      port = try parts.port.map(Self.parsePort) ?? 80
      let path = try URLEncoding.encode(parts.path, allowing: "/", at: parts.pathOffset)
      let query = try parts.query.map { query throws(URLSyntaxError) in
        try URLEncoding.encode(query, allowing: "/?", at: parts.queryOffset)
      }
      resource = (path.isEmpty ? "/" : path) + (query.map { "?\($0)" } ?? "")
      self.text = text
    } catch {
      throw .invalidURL(URLRedaction.redact(text), reason: error.reason)
    }
  }

  private static func parsePort(_ digits: Substring) throws(URLSyntaxError) -> UInt16 {
    // RFC 3986 §3.2.3: an empty port is the scheme's own.
    if digits.isEmpty { return 80 }
    guard digits.utf8.allSatisfy((UInt8(ascii: "0")...UInt8(ascii: "9")).contains), let port = UInt16(digits), port > 0
    else { throw URLSyntaxError("the port is not a number from 1 to 65535") }
    return port
  }
}

/// What is wrong with a URL, without any part of it that may be secret.
struct URLSyntaxError: Error {
  let reason: String

  init(_ reason: String) {
    self.reason = reason
  }
}

/// The components of a URL as they were written (RFC 3986 §3), with what RFC 6455 §3 does not allow refused.
struct URLParts {
  let host: Substring
  /// The text after the colon; nil without one.
  let port: Substring?
  let path: Substring
  let pathOffset: Int
  /// The text after the question mark; nil without one.
  let query: Substring?
  let queryOffset: Int

  init(_ text: String) throws(URLSyntaxError) {
    if let offset = text.unicodeScalars.firstOffset(where: { $0.isBlank || $0.isControl }) {
      throw URLSyntaxError("it has white space or a control character at byte \(offset); percent-encode it")
    }
    let rest = try Self.afterScheme(text)
    let authorityEnd = rest.utf8.firstIndex {
      $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#")
    }
    let authority = rest[..<(authorityEnd ?? rest.endIndex)]
    guard !authority.utf8.contains(UInt8(ascii: "@")) else {
      throw URLSyntaxError("it contains user information; set an Authorization header instead")
    }
    guard !text.utf8.contains(UInt8(ascii: "#")) else {
      throw URLSyntaxError("it has a fragment, which RFC 6455 §3 forbids; write # as %23")
    }
    (host, port) = try Self.split(authority: authority)
    let tail = rest[authority.endIndex...]
    let mark = tail.utf8.firstIndex(of: UInt8(ascii: "?"))
    path = tail[..<(mark ?? tail.endIndex)]
    query = mark.map { tail[tail.utf8.index(after: $0)...] }
    pathOffset = text.utf8.distance(from: text.startIndex, to: path.startIndex)
    queryOffset = pathOffset + path.utf8.count + 1
  }

  /// Checks the scheme, and returns what follows `//`.
  private static func afterScheme(_ text: String) throws(URLSyntaxError) -> Substring {
    guard let slashes = text.utf8.firstRange(of: "://"), URLRedaction.isScheme(text[..<slashes.lowerBound]) else {
      throw URLSyntaxError(
        "it has no scheme; did you mean \(URLRedaction.withScheme("ws", URLRedaction.redact(text)))?")
    }
    let scheme = text[..<slashes.lowerBound].lowercased()
    switch scheme {
    case "ws": return text[slashes.upperBound...]
    case "wss": throw URLSyntaxError("TLS (the scheme wss) is not supported yet")
    case "http", "https":
      let meant = URLRedaction.withScheme(scheme == "http" ? "ws" : "wss", URLRedaction.redact(text))
      throw URLSyntaxError("the scheme is \(scheme); did you mean \(meant)?")
    default: throw URLSyntaxError("the scheme is \(scheme), and should be ws")
    }
  }

  private static func split(authority: Substring) throws(URLSyntaxError) -> (host: Substring, port: Substring?) {
    let colon = UInt8(ascii: ":")
    if authority.utf8.first == UInt8(ascii: "[") {
      guard let bracket = authority.utf8.firstIndex(of: UInt8(ascii: "]")) else {
        throw URLSyntaxError("the host has no closing bracket")
      }
      let end = authority.utf8.index(after: bracket)
      guard end < authority.endIndex else { return (authority, nil) }
      guard authority.utf8[end] == colon else { throw URLSyntaxError("a port after the host begins with a colon") }
      return (authority[..<end], authority[authority.utf8.index(after: end)...])
    }
    guard let first = authority.utf8.firstIndex(of: colon) else { return (authority, nil) }
    let port = authority[authority.utf8.index(after: first)...]
    guard !port.utf8.contains(colon) else {
      throw URLSyntaxError("the host has more than one colon; an IPv6 address is written in brackets, as [::1]")
    }
    return (authority[..<first], port)
  }
}

extension Unicode.Scalar {
  /// White space, or an invisible character that a copied URL may have at its ends.
  fileprivate var isBlank: Bool {
    // Nearly all URLs are ASCII, and looking up a property costs 50 times as much.
    if value < 0x80 { return value == 0x20 || (0x09...0x0D).contains(value) }
    return properties.isWhitespace || value == 0xFEFF || value == 0x200B
  }

  /// True for the general category Cc.
  fileprivate var isControl: Bool { value < 0x20 || (0x7F...0x9F).contains(value) }
}

extension String {
  /// The string without white space at its ends.
  fileprivate var trimmingWhitespace: String {
    let scalars = unicodeScalars
    guard let first = scalars.firstIndex(where: { !$0.isBlank }), let last = scalars.lastIndex(where: { !$0.isBlank })
    else { return "" }
    return String(scalars[first...last])
  }
}

extension String.UnicodeScalarView {
  /// The offset in UTF-8 of the first scalar that satisfies the predicate.
  fileprivate func firstOffset(where predicate: (Unicode.Scalar) -> Bool) -> Int? {
    firstIndex(where: predicate).map { String(self[..<$0]).utf8.count }
  }
}

extension String.UTF8View {
  /// The first place where the ASCII text stands.
  fileprivate func firstRange(of text: StaticString) -> Range<Index>? {
    let wanted = Array(String(describing: text).utf8)
    var start = startIndex
    while start < endIndex {
      let candidate = self[start...].prefix(wanted.count)
      if candidate.elementsEqual(wanted) { return candidate.startIndex..<candidate.endIndex }
      start = index(after: start)
    }
    return nil
  }
}
