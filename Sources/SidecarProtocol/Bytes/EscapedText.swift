/// Makes text that a peer wrote safe to show: one line, and nothing in it that a terminal or a log viewer acts on.
///
/// Control characters can move the cursor, rename the window or type on the user's behalf. Bidirectional controls make
/// a line read otherwise than it is, and invisible characters hide differences. They become `\n`, `\r`, `\t` or
/// `\u{1b}`. Everything else stays as it is.
package enum EscapedText {
  /// What the text is for.
  package enum Purpose: Sendable {
    /// Part of an error, a close status or a log line. Every invisible character is escaped.
    case description
    /// A message of the application's peer, shown for its own sake: tabs, and what joins emoji and letters, stay.
    case message
  }

  /// Appends text with what is not safe escaped.
  ///
  /// - Parameter bytes: The text, which must be UTF-8.
  package static func append(
    _ bytes: UnsafeRawBufferPointer, for purpose: Purpose, to output: inout [UInt8]
  ) {
    guard let suspect = bytes.firstIndex(where: isSuspect) else {
      output.append(contentsOf: bytes)
      return
    }
    // A suspect byte is the first of its character.
    output.append(contentsOf: bytes[..<suspect])
    for scalar in String(decoding: bytes[suspect...], as: UTF8.self).unicodeScalars {
      append(scalar, for: purpose, to: &output)
    }
  }

  /// True for the first byte of every character that may have to be escaped.
  private static func isSuspect(_ byte: UInt8) -> Bool {
    switch byte {
    case 0..<0x20, 0x7F: true
    // U+0080–00BF, 0340–037F, 0600–063F, 06C0–073F, 0800–3FFF, E000–FFFF, and everything beyond.
    case 0xC2, 0xCD, 0xD8, 0xDB, 0xDC, 0xE0...0xE3, 0xEE...0xFF: true
    default: false
    }
  }

  private static func append(_ scalar: Unicode.Scalar, for purpose: Purpose, to output: inout [UInt8]) {
    guard mustEscape(scalar, for: purpose) else {
      output.append(utf8: String(scalar))
      return
    }
    switch scalar {
    case "\n": output.append(utf8: #"\n"#)
    case "\r": output.append(utf8: #"\r"#)
    case "\t": output.append(utf8: #"\t"#)
    default: output.append(utf8: #"\u{"# + String(scalar.value, radix: 16) + "}")
    }
  }

  private static func mustEscape(_ scalar: Unicode.Scalar, for purpose: Purpose) -> Bool {
    if (0x20...0x7E).contains(scalar.value) { return false }
    if purpose == .message {
      switch scalar.value {
      // Tab, zero-width joiner and non-joiner, variation selectors.
      case 0x09, 0x200C, 0x200D, 0xFE00...0xFE0F: return false
      default: break
      }
    }
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse: return true
    default: return scalar.properties.isDefaultIgnorableCodePoint || scalar.properties.isNoncharacterCodePoint
    }
  }
}

extension String {
  /// The text as one line that is safe to show. Applying it twice changes nothing.
  package var escapedForDisplay: String {
    withUTF8Bytes { bytes in
      var output: [UInt8] = []
      output.reserveCapacity(bytes.count)
      EscapedText.append(bytes, for: .description, to: &output)
      return String(decoding: output, as: UTF8.self)
    }
  }

  /// The text in quotation marks, as one line that is safe to show; what is longer than 128 characters is cut.
  ///
  /// Quotation marks and backslashes in the text are escaped, so that its end is where it seems to be.
  package var quotedForDisplay: String {
    let limit = 128
    var quoted = "\""
    for scalar in unicodeScalars.prefix(limit) {
      // A combining mark would join the quotation mark.
      let isLoneMark = quoted.utf8.count == 1 && scalar.properties.generalCategory == .nonspacingMark
      switch scalar {
      case "\"", "\\": quoted += "\\\(scalar)"
      case _ where isLoneMark: quoted += "\\u{\(String(scalar.value, radix: 16))}"
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted.escapedForDisplay + (unicodeScalars.dropFirst(limit).isEmpty ? "\"" : "\"…")
  }

  /// The same for a name of the protocol, which is ASCII: every other character is escaped too, so that U+212A (KELVIN
  /// SIGN) is not shown as the letter K.
  package var quotedNameForDisplay: String {
    var quoted = ""
    for scalar in quotedForDisplay.unicodeScalars {
      if scalar.isASCII || scalar == "…" {
        quoted.unicodeScalars.append(scalar)
      } else {
        quoted += #"\u{"# + String(scalar.value, radix: 16) + "}"
      }
    }
    return quoted
  }

  /// True if both strings have the same bytes.
  ///
  /// `==` compares by canonical equivalence: it takes U+212A (KELVIN SIGN) for the letter K, so nothing that came from
  /// the wire may be compared with it.
  package func hasSameBytes(as other: String) -> Bool {
    withUTF8Bytes { bytes in other.withUTF8Bytes { bytes.hasSameBytes(as: $0) } }
  }
}

extension Hasher {
  /// Hashes what `String.hasSameBytes(as:)` compares.
  package mutating func combine(bytesOf text: String) {
    text.withUTF8Bytes {
      combine($0.count)
      combine(bytes: $0)
    }
  }
}
