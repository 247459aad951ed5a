internal import Glibc

/// Reads the bytes of a head in place: nothing is copied, and no string is made, until it is known what to keep.
extension UnsafeRawBufferPointer {
  /// The offset of the first such byte.
  func firstOffset(of byte: UInt8) -> Int? {
    guard let baseAddress, let found = memchr(baseAddress, Int32(byte), count) else { return nil }
    return UnsafeRawPointer(found) - baseAddress
  }

  /// The bytes before and after the first such byte.
  func cut(at byte: UInt8) -> (before: UnsafeRawBufferPointer, after: UnsafeRawBufferPointer)? {
    guard let offset = firstOffset(of: byte) else { return nil }
    return (UnsafeRawBufferPointer(rebasing: self[..<offset]), UnsafeRawBufferPointer(rebasing: self[(offset + 1)...]))
  }

  func hasPrefix(_ prefix: StaticString) -> Bool {
    prefix.withUTF8Buffer {
      UnsafeRawBufferPointer(rebasing: self.prefix($0.count)).hasSameBytes(as: UnsafeRawBufferPointer($0))
    }
  }

  func hasSameBytes(as other: UnsafeRawBufferPointer) -> Bool {
    guard count == other.count else { return false }
    guard let baseAddress, let start = other.baseAddress else { return true }
    return memcmp(baseAddress, start, count) == 0
  }

  /// Compares without regard to the case of ASCII letters, as HTTP compares names (RFC 9110 §5.1).
  func equalsIgnoringCase(_ other: UnsafeRawBufferPointer) -> Bool {
    // Nearly all peers spell the names as the RFCs do.
    hasSameBytes(as: other)
      || count == other.count && elementsEqual(other) { $0.asciiLowercased == $1.asciiLowercased }
  }

  /// The bytes without spaces and tabs at their ends (OWS, RFC 9110 §5.6.3).
  var trimmingHTTPWhitespace: UnsafeRawBufferPointer {
    let isVisible = { (byte: UInt8) in byte != UInt8(ascii: " ") && byte != UInt8(ascii: "\t") }
    guard let first = firstIndex(where: isVisible), let last = lastIndex(where: isVisible) else {
      return UnsafeRawBufferPointer(start: nil, count: 0)
    }
    return UnsafeRawBufferPointer(rebasing: self[first...last])
  }

  /// RFC 9110 §5.6.2.
  var isHTTPToken: Bool { !isEmpty && allSatisfy(\.isHTTPTokenByte) }

  /// RFC 9110 §5.5: no control character but the tab.
  var isHTTPFieldValue: Bool { allSatisfy(\.isHTTPFieldValueByte) }
}

extension String {
  /// Calls `body` with the string's UTF-8 in place, which is far faster to read than `utf8`.
  func withUTF8Bytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    var text = self
    return text.withUTF8 { body(UnsafeRawBufferPointer($0)) }
  }

  /// The string without spaces and tabs at its ends.
  var trimmingHTTPWhitespace: String {
    withUTF8Bytes { String(decoding: $0.trimmingHTTPWhitespace, as: UTF8.self) }
  }

  /// Whether the string is a token, as the names of fields, subprotocols and extensions are (RFC 9110 §5.6.2).
  var isHTTPToken: Bool { withUTF8Bytes(\.isHTTPToken) }
}

extension [UInt8] {
  mutating func append(utf8 text: String) {
    text.withUTF8Bytes { append(contentsOf: $0) }
  }

  /// Appends a header line (RFC 9112 §5).
  mutating func appendHeaderLine(_ name: String, _ value: String) {
    append(utf8: name)
    append(utf8: ": ")
    append(utf8: value)
    append(utf8: "\r\n")
  }
}

extension UInt8 {
  var asciiLowercased: UInt8 { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(self) ? self | 0x20 : self }

  /// RFC 9110 §5.6.2: tchar.
  var isHTTPTokenByte: Bool {
    switch self {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "a")...UInt8(ascii: "z"):
      true
    case UInt8(ascii: "!"), UInt8(ascii: "#"), UInt8(ascii: "$"), UInt8(ascii: "%"), UInt8(ascii: "&"),
      UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."),
      UInt8(ascii: "^"), UInt8(ascii: "_"), UInt8(ascii: "`"), UInt8(ascii: "|"), UInt8(ascii: "~"):
      true
    default:
      false
    }
  }

  /// RFC 9110 §5.5: visible characters, obs-text, space and tab. CR, LF and NUL are dangerous; the rest is never
  /// needed.
  var isHTTPFieldValueByte: Bool { self >= 0x20 && self != 0x7F || self == 0x09 }
}
