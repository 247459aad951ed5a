/// The header fields of an HTTP message, in their order (RFC 9110 §5).
package struct HeaderFields: Sendable, Hashable {
  package struct Field: Sendable, Hashable {
    package let name: String
    package let value: String

    package init(_ name: String, _ value: String) {
      self.name = name
      self.value = value
    }

    package static func == (one: Field, other: Field) -> Bool {
      one.name.hasSameBytes(as: other.name) && one.value.hasSameBytes(as: other.value)
    }

    package func hash(into hasher: inout Hasher) {
      hasher.combine(bytesOf: name)
      hasher.combine(bytesOf: value)
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
    var values: [String] = []
    for field in fields where field.name.equalsIgnoringCase(name) { values.append(field.value) }
    return values
  }

  /// The value of the first field of this name.
  package func first(_ name: String) -> String? {
    fields.first { $0.name.equalsIgnoringCase(name) }?.value
  }

  /// The elements of a list that may be spread over several fields, without empty ones (RFC 9110 §5.6.1).
  package func list(_ name: String) -> [String] {
    var elements: [String] = []
    forEachElement(ofList: name) { elements.append(String(decoding: $0, as: UTF8.self)) }
    return elements
  }

  /// How many elements a list has, and how many of them equal `element` without regard to case.
  func count(of element: String, inList name: String) -> (matching: Int, all: Int) {
    var (matching, all) = (0, 0)
    element.withUTF8Bytes { element in
      forEachElement(ofList: name) {
        all += 1
        if $0.equalsIgnoringCase(element) { matching += 1 }
      }
    }
    return (matching, all)
  }

  private func forEachElement(ofList name: String, _ body: (UnsafeRawBufferPointer) -> Void) {
    for field in fields where field.name.equalsIgnoringCase(name) {
      field.value.forEachPart(separatedBy: UInt8(ascii: ",")) { if !$0.isEmpty { body($0) } }
    }
  }
}

extension HeaderFields: ExpressibleByDictionaryLiteral {
  package init(dictionaryLiteral elements: (String, String)...) {
    fields = elements.map { Field($0.0, $0.1) }
  }
}

extension String {
  /// Compares bytes without regard to the case of ASCII letters, as HTTP compares names (RFC 9110 §5.1).
  package func equalsIgnoringCase(_ other: String) -> Bool {
    // Most names differ in length.
    guard utf8.count == other.utf8.count else { return false }
    return withUTF8Bytes { bytes in other.withUTF8Bytes(bytes.equalsIgnoringCase) }
  }

  /// Calls `body` with the parts between separators, without the white space around them. Separators in a quoted string
  /// do not count (RFC 9110 §5.6.4).
  func forEachPart(separatedBy separator: UInt8, _ body: (UnsafeRawBufferPointer) -> Void) {
    withUTF8Bytes { bytes in
      // Nearly all lists have one element.
      guard bytes.firstOffset(of: separator) != nil else { return body(bytes.trimmingHTTPWhitespace) }
      var start = 0
      var isQuoted = false
      var isEscaped = false
      for (offset, byte) in bytes.enumerated() {
        if byte == separator, !isQuoted {
          body(UnsafeRawBufferPointer(rebasing: bytes[start..<offset]).trimmingHTTPWhitespace)
          start = offset + 1
        } else if isEscaped {
          isEscaped = false
        } else if byte == UInt8(ascii: "\"") {
          isQuoted.toggle()
        } else if byte == UInt8(ascii: "\\"), isQuoted {
          isEscaped = true
        }
      }
      body(UnsafeRawBufferPointer(rebasing: bytes[start...]).trimmingHTTPWhitespace)
    }
  }
}
