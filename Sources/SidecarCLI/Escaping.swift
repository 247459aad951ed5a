internal import SidecarProtocol

/// Makes text from the peer safe to show in a terminal.
enum Escaping {
  /// Appends a message, which is UTF-8, as one line. Ordinary text is unchanged, tabs and backslashes included, so `\n`
  /// in the output may also have been two characters.
  static func append(_ bytes: UnsafeRawBufferPointer, to output: inout [UInt8]) {
    EscapedText.append(bytes, for: .message, to: &output)
  }

  /// Returns `text` as one line that is safe to show.
  static func line(_ text: String) -> String {
    var output: [UInt8] = []
    Array(text.utf8).withUnsafeBytes { append($0, to: &output) }
    return String(decoding: output, as: UTF8.self)
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
