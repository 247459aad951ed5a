/// The header fields of an HTTP message, in their order (RFC 9110 §5).
package struct HeaderFields: Sendable, Hashable {
  package struct Field: Sendable, Hashable {
    package let name: String
    package let value: String

    package init(_ name: String, _ value: String) {
      self.name = name
      self.value = value
    }
  }

  package private(set) var fields: [Field]

  package init(_ fields: [Field] = []) {
    self.fields = fields
  }

  package mutating func append(_ name: String, _ value: String) {
    fields.append(Field(name, value))
  }

  /// The values of all fields of this name, whose case does not matter (RFC 9110 §5.1).
  package func values(_ name: String) -> [String] {
    fields.filter { $0.name.equalsIgnoringCase(name) }.map(\.value)
  }

  /// The value of the first field of this name.
  package func first(_ name: String) -> String? {
    fields.first { $0.name.equalsIgnoringCase(name) }?.value
  }

  /// The elements of a list that may be spread over several fields (RFC 9110 §5.6.1); empty ones do not count.
  package func list(_ name: String) -> [String] {
    values(name).flatMap { $0.splitOutsideQuotes(at: ",") }.filter { !$0.isEmpty }
  }
}

extension HeaderFields: ExpressibleByDictionaryLiteral {
  package init(dictionaryLiteral elements: (String, String)...) {
    fields = elements.map { Field($0.0, $0.1) }
  }
}

extension String {
  /// Whether the ASCII letters are the same but for their case, as HTTP compares names (RFC 9110 §5.1).
  package func equalsIgnoringCase(_ other: String) -> Bool {
    guard utf8.count == other.utf8.count else { return false }
    return self == other || utf8.elementsEqual(other.utf8) { $0.asciiLowercased == $1.asciiLowercased }
  }

  /// The parts between separators that do not stand in a quoted string (RFC 9110 §5.6.4), without the white space
  /// around them.
  func splitOutsideQuotes(at separator: Unicode.Scalar) -> [String] {
    // Nearly all lists have one element.
    guard utf8.contains(where: { $0 == separator.value }) else { return [trimmingHTTPWhitespace] }
    var parts: [String] = []
    var part = ""
    var isQuoted = false
    var isEscaped = false
    for character in unicodeScalars {
      if character == separator, !isQuoted {
        parts.append(part.trimmingHTTPWhitespace)
        part = ""
        continue
      }
      if isEscaped {
        isEscaped = false
      } else if character == "\"" {
        isQuoted.toggle()
      } else if character == "\\", isQuoted {
        isEscaped = true
      }
      part.unicodeScalars.append(character)
    }
    return parts + [part.trimmingHTTPWhitespace]
  }

  /// The string without spaces and tabs at its ends (OWS, RFC 9110 §5.6.3).
  var trimmingHTTPWhitespace: String {
    let isVisible = { (byte: UInt8) in byte != UInt8(ascii: " ") && byte != UInt8(ascii: "\t") }
    guard let first = utf8.firstIndex(where: isVisible), let last = utf8.lastIndex(where: isVisible) else { return "" }
    return String(Substring(utf8[first...last]))
  }

  /// Whether the string is a token (RFC 9110 §5.6.2), as the names of fields, subprotocols and extensions are.
  var isHTTPToken: Bool { !isEmpty && utf8.allSatisfy(\.isHTTPTokenByte) }

  /// Whether the string can be a field's value: no control character but the tab (RFC 9110 §5.5).
  var isHTTPFieldValue: Bool { utf8.allSatisfy(\.isHTTPFieldValueByte) }
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

  /// RFC 9110 §5.5: visible characters, obs-text, space and tab. CR, LF and NUL among the others are dangerous, and
  /// nobody has a use for the rest.
  var isHTTPFieldValueByte: Bool { self == 0x09 || self >= 0x20 && self != 0x7F }
}
