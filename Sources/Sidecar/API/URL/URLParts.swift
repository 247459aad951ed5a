internal import SidecarProtocol

/// What is wrong with a URL, without any part of it that may be secret.
struct URLSyntaxError: Error {
  let reason: String

  init(_ reason: String) {
    self.reason = reason
  }

  static var invalidPort: URLSyntaxError { URLSyntaxError("the port is not a number from 1 to 65535") }
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
    guard !bytes.isEmpty else { throw URLSyntaxError("it is empty") }
    guard URLRedaction.isScheme(scheme), bytes[scheme.endIndex...].starts(with: "://".utf8) else {
      throw URLSyntaxError(
        "it has no scheme; did you mean \(URLRedaction.withScheme("ws", URLRedaction.redact(text)))?")
    }
    switch String(decoding: scheme, as: UTF8.self).lowercased() {
    case "ws": return bytes[(scheme.endIndex + 3)...]
    case "wss": throw URLSyntaxError("TLS (the scheme wss) is not supported yet")
    case "http":
      let meant = URLRedaction.withScheme("ws", URLRedaction.redact(text))
      throw URLSyntaxError("the scheme is http; did you mean \(meant)?")
    case "https": throw URLSyntaxError("the scheme is https, and TLS (the scheme wss) is not supported yet")
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
  var isBlank: Bool {
    if value < 0x80 { return value == 0x20 || (0x09...0x0D).contains(value) }
    return properties.isWhitespace || value == 0xFEFF || value == 0x200B
  }

  /// True for the general category Cc.
  var isControl: Bool { value < 0x20 || (0x7F...0x9F).contains(value) }
}

extension String {
  /// The string without white space at its ends.
  var trimmingWhitespace: String {
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
  func firstOffset(where predicate: (Unicode.Scalar) -> Bool) -> Int? {
    firstIndex(where: predicate).map { String(self[..<$0]).utf8.count }
  }
}
