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
      let path = try URLEncoding.encode(parts.path, allowing: "/")
      var resource = path.isEmpty ? "/" : path
      if let query = parts.query { resource += try "?" + URLEncoding.encode(query, allowing: "/?") }
      self.resource = resource
      self.text = text
    } catch {
      throw .invalidURL(URLRedaction.redact(text), reason: error.reason)
    }
  }

  private static func parsePort(_ digits: ArraySlice<UInt8>) throws(URLSyntaxError) -> UInt16 {
    // RFC 3986 §3.2.3: an empty port is the scheme's own.
    if digits.isEmpty { return 80 }
    var port = 0
    for digit in digits {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit), port <= 65_535 else { throw .invalidPort }
      port = 10 * port + Int(digit - UInt8(ascii: "0"))
    }
    guard (1...65_535).contains(port) else { throw .invalidPort }
    return UInt16(port)
  }
}

/// What is wrong with a URL, without any part of it that may be secret.
struct URLSyntaxError: Error {
  let reason: String

  init(_ reason: String) {
    self.reason = reason
  }

  fileprivate static var invalidPort: URLSyntaxError { URLSyntaxError("the port is not a number from 1 to 65535") }
}

/// The components of a URL as they were written (RFC 3986 §3), with what RFC 6455 §3 does not allow refused.
///
/// Bytes, because every delimiter is ASCII: working on `Substring` made connecting take a fifth more instructions.
/// Their indices are the offsets in the URL.
struct URLParts {
  let host: ArraySlice<UInt8>
  /// What follows the colon; nil without one.
  let port: ArraySlice<UInt8>?
  let path: ArraySlice<UInt8>
  /// What follows the question mark; nil without one.
  let query: ArraySlice<UInt8>?

  init(_ text: String) throws(URLSyntaxError) {
    let bytes = Array(text.utf8)[...]
    if let offset = Self.firstBlankOrControl(text, bytes) {
      throw URLSyntaxError("it has white space or a control character at byte \(offset); percent-encode it")
    }
    let rest = try Self.afterScheme(text, bytes)
    let authority = rest.prefix {
      $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#")
    }
    guard !authority.contains(UInt8(ascii: "@")) else {
      throw URLSyntaxError("it contains user information; set an Authorization header instead")
    }
    guard !bytes.contains(UInt8(ascii: "#")) else {
      throw URLSyntaxError("it has a fragment, which RFC 6455 §3 forbids; write # as %23")
    }
    (host, port) = try Self.split(authority: authority)
    let tail = rest[authority.endIndex...]
    let mark = tail.firstIndex(of: UInt8(ascii: "?"))
    path = tail[..<(mark ?? tail.endIndex)]
    query = mark.map { tail[($0 + 1)...] }
  }

  /// The offset of the first white space or control character.
  private static func firstBlankOrControl(_ text: String, _ bytes: ArraySlice<UInt8>) -> Int? {
    // Nearly all URLs are ASCII, and looking up a property costs 50 times as much.
    if bytes.allSatisfy({ (0x21...0x7E).contains($0) }) { return nil }
    return text.unicodeScalars.firstOffset { $0.isBlank || $0.isControl }
  }

  /// Checks the scheme, and returns what follows `//`.
  private static func afterScheme(
    _ text: String, _ bytes: ArraySlice<UInt8>
  ) throws(URLSyntaxError) -> ArraySlice<UInt8> {
    let scheme = bytes.prefix { $0 != UInt8(ascii: ":") }
    guard URLRedaction.isScheme(scheme), bytes[scheme.endIndex...].starts(with: "://".utf8) else {
      throw URLSyntaxError(
        "it has no scheme; did you mean \(URLRedaction.withScheme("ws", URLRedaction.redact(text)))?")
    }
    switch String(decoding: scheme, as: UTF8.self).lowercased() {
    case "ws": return bytes[(scheme.endIndex + 3)...]
    case "wss": throw URLSyntaxError("TLS (the scheme wss) is not supported yet")
    case let scheme where scheme == "http" || scheme == "https":
      let meant = URLRedaction.withScheme(scheme == "http" ? "ws" : "wss", URLRedaction.redact(text))
      throw URLSyntaxError("the scheme is \(scheme); did you mean \(meant)?")
    case let scheme: throw URLSyntaxError("the scheme is \(scheme), and should be ws")
    }
  }

  private static func split(
    authority: ArraySlice<UInt8>
  ) throws(URLSyntaxError) -> (host: ArraySlice<UInt8>, port: ArraySlice<UInt8>?) {
    let colon = UInt8(ascii: ":")
    if authority.first == UInt8(ascii: "[") {
      guard let bracket = authority.firstIndex(of: UInt8(ascii: "]")) else {
        throw URLSyntaxError("the host has no closing bracket")
      }
      let end = bracket + 1
      guard end < authority.endIndex else { return (authority, nil) }
      guard authority[end] == colon else { throw URLSyntaxError("a port after the host begins with a colon") }
      return (authority[..<end], authority[(end + 1)...])
    }
    guard let first = authority.firstIndex(of: colon) else { return (authority, nil) }
    let port = authority[(first + 1)...]
    guard !port.contains(colon) else {
      throw URLSyntaxError("the host has more than one colon; an IPv6 address is written in brackets, as [::1]")
    }
    return (authority[..<first], port)
  }
}

extension Unicode.Scalar {
  /// White space, or an invisible character that a copied URL may have at its ends.
  fileprivate var isBlank: Bool {
    if value < 0x80 { return value == 0x20 || (0x09...0x0D).contains(value) }
    return properties.isWhitespace || value == 0xFEFF || value == 0x200B
  }

  /// True for the general category Cc.
  fileprivate var isControl: Bool { value < 0x20 || (0x7F...0x9F).contains(value) }
}

extension String {
  /// The string without white space at its ends.
  fileprivate var trimmingWhitespace: String {
    let graphic: ClosedRange<UInt8> = 0x21...0x7E
    if let first = utf8.first, let last = utf8.last, graphic.contains(first), graphic.contains(last) { return self }
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
