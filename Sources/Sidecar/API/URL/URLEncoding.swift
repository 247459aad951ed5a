/// Percent-encoding of paths and queries (RFC 3986 §2).
enum URLEncoding {
  /// Encodes what a path or a query may not have as it is, as UTF-8. Escapes that are there stay as they are (§2.4).
  ///
  /// - Parameters:
  ///   - bytes: A part of the URL; its indices are the offsets that errors tell.
  ///   - allowed: What may be there beside the characters of a path segment (§3.3, §3.4).
  static func encode(_ bytes: ArraySlice<UInt8>, allowing allowed: StaticString) throws(URLSyntaxError) -> String {
    // Most paths need nothing.
    if bytes.allSatisfy({ isPathCharacter($0) || isIn(allowed, $0) }) { return String(decoding: bytes, as: UTF8.self) }
    var encoded: [UInt8] = []
    encoded.reserveCapacity(bytes.count)
    for (index, byte) in zip(bytes.indices, bytes) {
      if byte == UInt8(ascii: "%") {
        guard bytes.endIndex - index > 2, isHexDigit(bytes[index + 1]), isHexDigit(bytes[index + 2]) else {
          throw URLSyntaxError(
            "the % at byte \(index) is not followed by two hexadecimal digits; a percent sign is written %25")
        }
        encoded.append(byte)
      } else if isPathCharacter(byte) || isIn(allowed, byte) {
        encoded.append(byte)
      } else {
        encoded += [UInt8(ascii: "%"), hexDigit(byte >> 4), hexDigit(byte & 15)]
      }
    }
    return String(decoding: encoded, as: UTF8.self)
  }

  /// Decodes the escapes of a host (§3.2.2).
  static func decode(_ bytes: ArraySlice<UInt8>) throws(URLSyntaxError) -> ArraySlice<UInt8> {
    if !bytes.contains(UInt8(ascii: "%")) { return bytes }
    var decoded: [UInt8] = []
    var rest = bytes
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        decoded.append(byte)
        continue
      }
      guard let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16), rest.count >= 2,
        isHexDigit(rest[rest.startIndex])
      else { throw URLSyntaxError("a % in the host is not followed by two hexadecimal digits") }
      decoded.append(value)
      rest = rest.dropFirst(2)
    }
    guard String(validating: decoded, as: UTF8.self) != nil else {
      throw URLSyntaxError("the escapes in the host are not UTF-8")
    }
    return decoded[...]
  }

  /// RFC 3986 §3.3: pchar, without the escapes.
  private static func isPathCharacter(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "a")...UInt8(ascii: "z"):
      true
    default: isIn("-._~!$&'()*+,;=:@", byte)
    }
  }

  private static func isIn(_ characters: StaticString, _ byte: UInt8) -> Bool {
    characters.withUTF8Buffer { $0.contains(byte) }
  }

  private static func isHexDigit(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "F"),
      UInt8(ascii: "a")...UInt8(ascii: "f"):
      true
    default: false
    }
  }

  /// §2.1: in upper case.
  private static func hexDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "A") + value - 10
  }
}
