internal import CSidecarBytes

/// Checks that bytes are UTF-8 as RFC 3629 defines it, in pieces of any size.
///
/// RFC 6455 §8.1 asks for the connection to fail on anything else. The check says so at the first byte that can no
/// longer become part of valid text, however the text is cut: overlong forms, surrogates and code points above U+10FFFF
/// are known by the second byte of their sequence.
@usableFromInline
package struct UTF8Validator: Sendable {
  /// How many continuation bytes the sequence that was begun still needs.
  private var pending: UInt8 = 0

  // The range in which the next continuation byte has to be: narrower than 80…BF after E0, ED, F0 and F4.
  private var lowest: UInt8 = 0x80
  private var highest: UInt8 = 0xBF

  /// Whether there has been nothing but ASCII so far.
  private(set) var isASCII = true

  package init() {}

  /// Whether the bytes so far end between two characters.
  package var isComplete: Bool { pending == 0 }

  /// Takes the next bytes, and returns the index of the first one that cannot be valid, or `nil`.
  ///
  /// After it returned an index the validator is of no further use.
  package mutating func validate(_ bytes: UnsafeRawBufferPointer) -> Int? {
    var index = 0
    while pending > 0, index < bytes.count {
      guard proceed(bytes[index]) else { return index }
      index += 1
    }
    guard let start = bytes.baseAddress else { return nil }
    while index < bytes.count {
      index = Self.skipASCII(start, from: index, to: bytes.count)
      let sequences = index
      index = Self.skipSequences(start, from: index, to: bytes.count)
      if index > sequences { isASCII = false }
      guard index < bytes.count else { break }
      // What is left is ASCII again, an error, or so close to the end that it is checked byte by byte.
      guard begin(bytes[index]) else { return index }
      if pending > 0 { isASCII = false }
      index += 1
      while pending > 0, index < bytes.count {
        guard proceed(bytes[index]) else { return index }
        index += 1
      }
    }
    return nil
  }

  /// Takes the first byte of a sequence; returns whether there is one that begins with it (RFC 3629 §4).
  private mutating func begin(_ lead: UInt8) -> Bool {
    switch lead {
    case 0x00...0x7F: break
    case 0xC2...0xDF: pending = 1
    case 0xE0: (pending, lowest) = (2, 0xA0)
    case 0xED: (pending, highest) = (2, 0x9F)
    case 0xE1...0xEF: pending = 2
    case 0xF0: (pending, lowest) = (3, 0x90)
    case 0xF4: (pending, highest) = (3, 0x8F)
    case 0xF1...0xF3: pending = 3
    default: return false
    }
    return true
  }

  /// Takes a further byte of a sequence; returns whether it may stand there.
  private mutating func proceed(_ byte: UInt8) -> Bool {
    guard byte >= lowest, byte <= highest else { return false }
    pending -= 1
    lowest = 0x80
    highest = 0xBF
    return true
  }

  /// What a whole text is.
  @usableFromInline
  package enum Validity {
    case ascii, beyondASCII, invalid
  }

  /// Checks a whole text.
  @inlinable
  package static func validity(_ bytes: UnsafeRawBufferPointer) -> Validity {
    isShortASCII(bytes) ? .ascii : textValidity(bytes)
  }

  /// Whether all of `bytes` is valid UTF-8.
  @inlinable
  package static func isValid(_ bytes: UnsafeRawBufferPointer) -> Bool { validity(bytes) != .invalid }

  /// Whether `bytes` is ASCII, with the answer "no" for text that is too long to be worth inlining.
  @inlinable
  static func isShortASCII(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard let start = bytes.baseAddress else { return true }
    let count = bytes.count
    guard count <= 128 else { return false }
    var seen: UInt64 = 0
    if count >= 16 {
      var pairs = SIMD2<UInt64>.zero
      var index = 0
      while count &- index >= 16 {
        pairs |= start.loadUnaligned(fromByteOffset: index, as: SIMD2<UInt64>.self)
        index &+= 16
      }
      // Reads some bytes a second time, which does no harm, instead of the last few one by one.
      pairs |= start.loadUnaligned(fromByteOffset: count &- 16, as: SIMD2<UInt64>.self)
      seen = pairs[0] | pairs[1]
    } else if count >= 8 {
      seen = start.loadUnaligned(as: UInt64.self)
      seen |= start.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
    } else {
      for index in 0..<count { seen |= UInt64(start.load(fromByteOffset: index, as: UInt8.self)) }
    }
    return seen & highBits == 0
  }

  /// Whether `bytes` is ASCII.
  @inlinable
  static func isASCII(_ bytes: UnsafeRawBufferPointer) -> Bool {
    bytes.count <= 128 ? isShortASCII(bytes) : isLongASCII(bytes)
  }

  @usableFromInline
  static func isLongASCII(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard let start = bytes.baseAddress else { return true }
    guard skipASCII(start, from: 0, to: bytes.count) > bytes.count - 8 else { return false }
    return isShortASCII(UnsafeRawBufferPointer(start: start + (bytes.count - 8), count: 8))
  }

  @usableFromInline
  static func textValidity(_ bytes: UnsafeRawBufferPointer) -> Validity {
    var validator = UTF8Validator()
    guard validator.validate(bytes) == nil, validator.isComplete else { return .invalid }
    return validator.isASCII ? .ascii : .beyondASCII
  }

  /// The highest bit of each byte of a word: clear in all of them means eight ASCII characters.
  @usableFromInline static let highBits: UInt64 = 0x8080_8080_8080_8080

  /// The index of the first byte from `index` on that may not be ASCII: exact if a whole word is left.
  private static func skipASCII(_ start: UnsafeRawPointer, from index: Int, to end: Int) -> Int {
    var index = index
    if end &- index >= 256 { index &+= csidecar_ascii_blocks(start + index, end &- index) }
    while end &- index >= 64 {
      guard isASCII(start.loadUnaligned(fromByteOffset: index, as: SIMD8<UInt64>.self)) else { break }
      index &+= 64
    }
    while end &- index >= 8 {
      let high = UInt64(littleEndian: start.loadUnaligned(fromByteOffset: index, as: UInt64.self)) & highBits
      guard high == 0 else { return index &+ high.trailingZeroBitCount / 8 }
      index &+= 8
    }
    // Reads some bytes a second time, instead of the last few one by one.
    guard end >= 8, start.loadUnaligned(fromByteOffset: end &- 8, as: UInt64.self) & highBits == 0 else { return index }
    return end
  }

  @inline(__always)
  private static func isASCII(_ words: SIMD8<UInt64>) -> Bool {
    let half = words.lowHalf | words.highHalf
    let pair = half.lowHalf | half.highHalf
    return (pair[0] | pair[1]) & highBits == 0
  }

  /// The index of the first byte from `index` on that is not part of a whole sequence of several bytes.
  ///
  /// Text in one script is a run of sequences of one length, with ASCII between them: runs are checked by the word.
  private static func skipSequences(_ start: UnsafeRawPointer, from index: Int, to end: Int) -> Int {
    var index = index
    while end &- index >= 8 {
      let word = UInt64(littleEndian: start.loadUnaligned(fromByteOffset: index, as: UInt64.self))
      if word & 0xC0E0 == 0x80C0 {
        // 110xxxxx 10xxxxxx, four times or once.
        let length = word & 0xC0E0_C0E0_C0E0_C0E0 == 0x80C0_80C0_80C0_80C0 ? 8 : 2
        // C0 and C1, the overlong leads, have none of these bits; adding carries out of each pair that has one.
        let leads = (word & 0x001E_001E_001E_001E) &+ 0x00FE_00FE_00FE_00FE
        let carries: UInt64 = length == 8 ? 0x0100_0100_0100_0100 : 0x0100
        guard leads & carries == carries else { break }
        index &+= length
      } else if word & 0xC0_C0F0 == 0x80_80E0 {
        // 1110xxxx 10xxxxxx 10xxxxxx, twice or once.
        guard isThreeByteCharacter(word) else { break }
        let isPair = word & 0xC0C0_F0C0_C0F0 == 0x8080_E080_80E0 && isThreeByteCharacter(word &>> 24)
        index &+= isPair ? 6 : 3
      } else if word & 0xC0C0_C0F8 == 0x8080_80F0 {
        // 11110xxx 10xxxxxx 10xxxxxx 10xxxxxx: the upper five bits of the code point are from 1 to 16.
        let plane = (word & 0x07) &<< 2 | (word &>> 12) & 0x03
        guard plane &- 1 < 16 else { break }
        index &+= 4
      } else if word & 0x80 == 0 {
        let high = word & highBits
        // A few ASCII characters between others; more of them are `skipASCII`'s.
        guard high != 0 else { break }
        index &+= high.trailingZeroBitCount / 8
      } else {
        break
      }
    }
    return index
  }

  /// Whether three bytes of the right form are neither overlong, E0 80…9F, nor a surrogate, ED A0…BF.
  @inline(__always)
  private static func isThreeByteCharacter(_ word: UInt64) -> Bool {
    let bits = word & 0x200F
    return bits != 0 && bits != 0x200D
  }
}

extension String {
  /// Makes a string of a copy of bytes that have been found to be UTF-8. Bytes that are not make an unusable string.
  ///
  /// A string that is made in any other way is checked once more, byte by byte if it is not ASCII.
  @inlinable @inline(__always)
  package init(validUTF8 bytes: UnsafeRawBufferPointer) {
    self.init(validUTF8: bytes, isASCII: UTF8Validator.isASCII(bytes))
  }

  /// The same, where it is known whether the bytes are ASCII: such a string is compared and counted by the byte.
  @inlinable @inline(__always)
  package init(validUTF8 bytes: UnsafeRawBufferPointer, isASCII: Bool) {
    assert(UTF8Validator.validity(bytes) == (isASCII ? .ascii : .beyondASCII))
    let units = bytes.assumingMemoryBound(to: UInt8.self).span
    self.init(copying: UTF8Span(unchecked: units, isKnownASCII: isASCII))
  }
}
