/// Makes text from the peer safe to show on one line.
///
/// Control characters can move the cursor, rename the window or type on the user's behalf; bidirectional controls can make
/// a line look different from what it is. They become `\n`, `\r` or `\u{1b}`. Everything else is unchanged, tabs and
/// backslashes included, so ordinary text stays the same; the price is that `\n` may also have been two characters.
enum Escaping {
  /// Appends `bytes`, which are UTF-8, with unsafe characters escaped.
  static func append(_ bytes: UnsafeRawBufferPointer, to output: inout [UInt8]) {
    guard let suspicion = bytes.firstIndex(where: isSuspicious) else {
      output.append(contentsOf: bytes)
      return
    }
    output.append(contentsOf: bytes[..<suspicion])
    for scalar in String(decoding: bytes[suspicion...], as: UTF8.self).unicodeScalars {
      append(scalar, to: &output)
    }
  }

  /// Returns `text` as one line that is safe to show.
  static func line(_ text: String) -> String {
    var text = text
    var output: [UInt8] = []
    text.withUTF8 { append(UnsafeRawBufferPointer($0), to: &output) }
    return String(decoding: output, as: UTF8.self)
  }

  /// Returns whether a character that begins with this byte may need escaping.
  private static func isSuspicious(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "\t"): false
    case 0..<0x20, 0x7F: true
    // The first bytes of U+0080 to U+00BF, U+0600 to U+063F, U+2000 to U+2FFF, U+F000 to U+FFFF, U+C0000 to U+FFFFF.
    case 0xC2, 0xD8, 0xE2, 0xEF, 0xF3: true
    default: false
    }
  }

  private static func append(_ scalar: Unicode.Scalar, to output: inout [UInt8]) {
    switch scalar.value {
    case 0x0A: output.append(contentsOf: Array(#"\n"#.utf8))
    case 0x0D: output.append(contentsOf: Array(#"\r"#.utf8))
    case 0x09: output.append(0x09)
    case 0..<0x20, 0x7F...0x9F,  // control characters
      0x61C, 0x200E, 0x200F, 0x202A...0x202E, 0x2066...0x2069,  // bidirectional controls
      0x2028, 0x2029,  // line and paragraph separators
      0xFEFF, 0xFFF9...0xFFFB, 0xE0000...0xE0FFF:  // invisible characters
      output.append(contentsOf: Array(#"\u{"#.utf8))
      output.append(contentsOf: Array(String(scalar.value, radix: 16).utf8))
      output.append(UInt8(ascii: "}"))
    default: output.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
    }
  }
}

extension String {
  /// Returns the text with spaces after it, `width` characters wide.
  func padded(to width: Int) -> String {
    self + String(repeating: " ", count: max(0, width - count))
  }

  /// Returns the text with spaces before it, `width` characters wide.
  func aligned(to width: Int) -> String {
    String(repeating: " ", count: max(0, width - count)) + self
  }
}
