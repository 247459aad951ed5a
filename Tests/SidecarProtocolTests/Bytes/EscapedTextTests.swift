import Testing
import SidecarProtocol

@Suite struct EscapedTextTests {
  private func message(_ text: String) -> String {
    var output: [UInt8] = []
    withBytes(of: utf8(text)) { EscapedText.append($0, for: .message, to: &output) }
    return String(decoding: output, as: UTF8.self)
  }

  @Test(arguments: [
    "", "plain", "with \\ and \"quotes\"", "日本語, русский, ελληνικά, العربية", "é and e\u{301}", "🎉🇪🇺", "\u{FFFD}",
  ])
  func `ordinary text stays as it is`(_ text: String) {
    #expect(text.escapedForDisplay.hasSameBytes(as: text))
    #expect(message(text).hasSameBytes(as: text))
  }

  @Test func `every character that moves, hides or turns text is escaped`() {
    let dangerous: [ClosedRange<UInt32>] = [
      0...0x1F, 0x7F...0x9F, 0xAD...0xAD, 0x34F...0x34F, 0x600...0x605, 0x61C...0x61C, 0x6DD...0x6DD, 0x70F...0x70F,
      0x115F...0x1160, 0x17B4...0x17B5, 0x180B...0x180F, 0x200B...0x200F, 0x2028...0x202E, 0x2060...0x206F,
      0x3164...0x3164, 0xE000...0xE000, 0xFDD0...0xFDEF, 0xFE00...0xFE0F, 0xFEFF...0xFEFF, 0xFFA0...0xFFA0,
      0xFFF0...0xFFFB,
      0xFFFE...0xFFFF, 0x1BCA0...0x1BCA3, 0x1D173...0x1D17A, 0x1FFFE...0x1FFFF, 0xE0000...0xE0FFF, 0x10FFFF...0x10FFFF,
    ]
    for value in dangerous.joined() {
      let text = String(UnicodeScalar(value).map(Character.init) ?? "?")
      #expect(text.escapedForDisplay.utf8.allSatisfy { (0x20...0x7E).contains($0) }, "U+\(String(value, radix: 16))")
    }
  }

  @Test func `every first byte of a character that has to be escaped is looked for`() {
    for value in [UInt32(0)...0x1FFFF, 0xE0000...0xE0FFF, 0x10FFF0...0x10FFFF].joined() {
      guard let scalar = UnicodeScalar(value) else { continue }
      // After a line feed, every character is looked at; alone, only if its first byte tells.
      let alone = String(Character(scalar)).escapedForDisplay
      guard ("\n" + String(Character(scalar))).escapedForDisplay != #"\n"# + alone else { continue }
      Issue.record("U+\(String(value, radix: 16))")
    }
  }

  @Test func `escapes are readable`() {
    #expect("a\nb\rc\td\u{1B}e\u{202E}".escapedForDisplay == #"a\nb\rc\td\u{1b}e\u{202e}"#)
    #expect("\u{1B}".escapedForDisplay.escapedForDisplay == #"\u{1b}"#)
  }

  @Test func `a message keeps its tabs and its joined emoji`() {
    let text = "a\tb 👩‍👩‍👧 ❤️ می\u{200C}خواهم"
    #expect(message(text).hasSameBytes(as: text))
    #expect(message("a\u{1B}\u{200B}\u{E0041}") == #"a\u{1b}\u{200b}\u{e0041}"#)
    #expect(text.escapedForDisplay.hasPrefix(#"a\tb 👩\u{200d}"#))
  }

  @Test func `quoted text ends where it seems to`() {
    #expect(#"a"b\c"#.quotedForDisplay == #""a\"b\\c""#)
    #expect("\u{301}x".quotedForDisplay == #""\u{301}x""#)
    #expect("".quotedForDisplay == "\"\"")
    let long = String(repeating: "a", count: 128)
    #expect(long.quotedForDisplay == "\"\(long)\"")
    #expect((long + "b").quotedForDisplay == "\"\(long)\"…")
  }
}
