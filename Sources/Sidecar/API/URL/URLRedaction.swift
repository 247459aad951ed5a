internal import SidecarProtocol

/// What errors show of a URL: scheme, host, port and path, but neither user information nor the query.
enum URLRedaction {
  /// The URL in one line that is safe to show and to log.
  ///
  /// Works on any text, for it is needed most where the URL cannot be parsed. Where a `/`, `?` or `#` in a password may
  /// have split the user information, everything up to the last `@` is hidden.
  static func redact(_ text: String) -> String {
    let slashes = schemeEnd(text)
    let scheme = text[..<(slashes ?? text.startIndex)]
    let rest = text[scheme.endIndex...]
    let at = rest.utf8.lastIndex(of: UInt8(ascii: "@"))
    let authority = rest.utf8.prefix { !isDelimiter($0) }
    if let at, at < authority.endIndex || mayBeSplitUserInfo(rest, authority.count, at) {
      return (scheme + "…@" + withoutQuery(rest[rest.utf8.index(after: at)...])).escapedForDisplay
    }
    return (scheme + withoutQuery(rest)).escapedForDisplay
  }

  /// The redacted URL with another scheme, or with one.
  static func withScheme(_ scheme: String, _ redacted: String) -> String {
    guard let end = schemeEnd(redacted) else {
      return "\(scheme)://" + String(decoding: redacted.utf8.drop { $0 == UInt8(ascii: "/") }, as: UTF8.self)
    }
    return "\(scheme)://\(redacted[end...])"
  }

  /// RFC 3986 §3.1.
  static func isScheme(_ bytes: some Collection<UInt8>) -> Bool {
    guard let first = bytes.first, isLetter(first) else { return false }
    return bytes.allSatisfy {
      isLetter($0) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || $0 == UInt8(ascii: "+")
        || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".")
    }
  }

  /// Where the text after `scheme://` begins; nil without a scheme.
  private static func schemeEnd(_ text: String) -> String.Index? {
    let scheme = text.utf8.prefix { $0 != UInt8(ascii: ":") }
    guard isScheme(scheme), text.utf8[scheme.endIndex...].starts(with: "://".utf8) else { return nil }
    return text.utf8.index(scheme.endIndex, offsetBy: 3)
  }

  /// True if what looks like a port is part of a password with a delimiter in it.
  private static func mayBeSplitUserInfo(_ rest: Substring, _ authorityCount: Int, _ at: String.Index) -> Bool {
    let authority = rest.utf8.prefix(authorityCount)
    guard authority.first != UInt8(ascii: "["), let colon = authority.firstIndex(of: UInt8(ascii: ":")) else {
      return false
    }
    let port = authority[authority.index(after: colon)...]
    let isPort = !port.isEmpty && port.allSatisfy((UInt8(ascii: "0")...UInt8(ascii: "9")).contains)
    let isBeforeQuery = !rest[..<at].utf8.contains { $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") }
    return !isPort || isBeforeQuery
  }

  private static func withoutQuery(_ text: Substring) -> String {
    let shown = text.utf8.prefix { $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") }
    let rest = text[shown.endIndex...]
    guard let mark = rest.utf8.first else { return String(text) }
    return text[..<shown.endIndex] + (mark == UInt8(ascii: "?") ? "?…" : "#…")
  }

  private static func isDelimiter(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: "/") || byte == UInt8(ascii: "?") || byte == UInt8(ascii: "#")
  }

  private static func isLetter(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
  }
}
