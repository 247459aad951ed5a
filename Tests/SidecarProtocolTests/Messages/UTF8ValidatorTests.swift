import Testing

@testable import SidecarProtocol

@Suite struct UTF8ValidatorTests {
  /// What a plain reading of RFC 3629 §4 says: the index of the first bad byte, and whether the end is between
  /// characters.
  private func reference(_ bytes: [UInt8]) -> (bad: Int?, complete: Bool) {
    var index = 0
    while index < bytes.count {
      let rest: [ClosedRange<UInt8>]
      let any: ClosedRange<UInt8> = 0x80...0xBF
      switch bytes[index] {
      case 0...0x7F: rest = []
      case 0xC2...0xDF: rest = [any]
      case 0xE0: rest = [0xA0...0xBF, any]
      case 0xE1...0xEC, 0xEE...0xEF: rest = [any, any]
      case 0xED: rest = [0x80...0x9F, any]
      case 0xF0: rest = [0x90...0xBF, any, any]
      case 0xF1...0xF3: rest = [any, any, any]
      case 0xF4: rest = [0x80...0x8F, any, any]
      default: return (index, false)
      }
      index += 1
      for range in rest {
        guard index < bytes.count else { return (nil, false) }
        guard range.contains(bytes[index]) else { return (index, false) }
        index += 1
      }
    }
    return (nil, true)
  }

  private func check(_ bytes: [UInt8], sourceLocation: SourceLocation = #_sourceLocation) {
    let expected = reference(bytes)
    let isASCII = bytes.allSatisfy { $0 < 0x80 }
    for size in Set([1, 2, 3, 5, 8, 13, max(1, bytes.count)]) {
      var validator = UTF8Validator()
      var bad: Int?
      var start = 0
      while start < bytes.count, bad == nil {
        let piece = bytes[start..<min(start + size, bytes.count)]
        bad = piece.withUnsafeBytes { validator.validate($0) }.map { start + $0 }
        start += size
      }
      #expect(bad == expected.bad, "\(brief(bytes)) in pieces of \(size)", sourceLocation: sourceLocation)
      if bad == nil {
        #expect(validator.isComplete == expected.complete, "\(brief(bytes))", sourceLocation: sourceLocation)
        #expect(validator.isASCII == isASCII, "\(brief(bytes)) in pieces of \(size)", sourceLocation: sourceLocation)
      }
    }
    let isValid = expected.bad == nil && expected.complete
    let verdict: UTF8Validator.Validity = !isValid ? .invalid : isASCII ? .ascii : .beyondASCII
    #expect(bytes.withUnsafeBytes { UTF8Validator.validity($0) } == verdict, sourceLocation: sourceLocation)
  }

  @Test func `every pair of bytes is judged as RFC 3629 says`() {
    for first in UInt8.min...UInt8.max {
      for second in stride(from: UInt8(0), through: 0xFF, by: 1) {
        let bytes = [first, second]
        var validator = UTF8Validator()
        let bad = bytes.withUnsafeBytes { validator.validate($0) }
        let expected = reference(bytes)
        if bad != expected.bad || bad == nil && validator.isComplete != expected.complete {
          Issue.record("\(brief(bytes))")
        }
      }
    }
  }

  @Test func `every kind of sequence is judged as RFC 3629 says, wherever it stands`() {
    let edges: [UInt8] = [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xE0]
    for lead: UInt8 in [0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF] {
      for second in edges {
        for third in edges {
          check([lead, second, third])
          check([0x61, lead, second, third, 0x80])
        }
      }
    }
  }

  @Test func `an error is found after every length of every kind of text`() {
    for unit in ["a", "é", "ж", "€", "😀"] {
      for count in 0...40 {
        let text = utf8(String(repeating: unit, count: count))
        check(text)
        for bad: [UInt8] in [[0xFF], [0x80], [0xC1, 0xBF], [0xC3], [0xD0, 0x41], [0xED, 0xA0, 0x80], [0xF0, 0x9F]] {
          check(text + bad)
          check(text + bad + utf8("ж and more"))
        }
      }
    }
  }

  @Test func `long text is judged where it breaks`() {
    let text = utf8(String(repeating: "All ASCII, sixteen. ", count: 50))
    check(text)
    for position in [0, 1, 63, 64, 65, 128, 500, 999] {
      var bytes = text
      bytes[position] = 0xC0
      check(bytes)
    }
    check([])
  }

  @Test func `nothing is valid text`() {
    #expect(UTF8Validator.isValid(UnsafeRawBufferPointer(start: nil, count: 0)))
    var validator = UTF8Validator()
    #expect(validator.validate(UnsafeRawBufferPointer(start: nil, count: 0)) == nil)
    #expect(validator.isComplete)
  }

  @Test func `ASCII is told from other text wherever the other begins`() {
    for count in [0, 1, 7, 8, 9, 15, 16, 17, 64, 127, 128, 129, 135, 136, 191, 192, 193, 200, 256, 257, 320, 512, 515] {
      var bytes = [UInt8](repeating: 0x41, count: count)
      let isASCII = { (bytes: [UInt8]) in bytes.withUnsafeBytes { UTF8Validator.isASCII($0) } }
      #expect(isASCII(bytes))
      for index in bytes.indices {
        bytes[index] = 0xC3
        #expect(!isASCII(bytes), "\(index) of \(count)")
        bytes[index] = 0x41
      }
    }
    #expect(UTF8Validator.isASCII(UnsafeRawBufferPointer(start: nil, count: 0)))
  }

  @Test func `a string of valid bytes is the one that the standard library makes of them`() {
    for unit in ["a", "é", "€", "😀", "aé€😀", "e\u{301}\r\n"] {
      for count in [0, 1, 3, 4, 5, 15, 16, 64, 300] {
        let expected = String(repeating: unit, count: count)
        let string = Array(expected.utf8).withUnsafeBytes { String(validUTF8: $0) }
        #expect(string == expected)
        #expect(string.count == expected.count)
        #expect(string.utf8Span.isKnownASCII == (count == 0 || unit == "a"))
      }
    }
    #expect(String(validUTF8: UnsafeRawBufferPointer(start: nil, count: 0)) == "")
  }
}
