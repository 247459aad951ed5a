/// The host of a URL (RFC 3986 §3.2.2).
enum URLHost {
  /// Returns the host as the resolver takes it: without brackets and escapes.
  ///
  /// - Throws: Why it is not one. A name beyond ASCII is refused with the spelling to use, as the mapping of IDNA needs
  ///   tables that this library does not carry.
  static func parse(_ bytes: ArraySlice<UInt8>) throws(URLSyntaxError) -> String {
    if bytes.isEmpty { throw URLSyntaxError("it has no host") }
    if bytes.first == UInt8(ascii: "[") { return try parseIPv6(bytes.dropFirst().dropLast()) }
    let name = try URLEncoding.decode(bytes)
    guard name.allSatisfy({ $0 < 0x80 }) else {
      let ascii = Punycode.asciiHost(String(decoding: name, as: UTF8.self))
      let spelling = ascii.map { "write it as \($0)" } ?? "write it in its ASCII form, xn--…"
      throw URLSyntaxError("the host is not ASCII; \(spelling)")
    }
    guard name.allSatisfy(isNameByte) else { throw URLSyntaxError("the host has a character that no name has") }
    // A dot at the end marks the root of the DNS.
    let relative = name.last == UInt8(ascii: ".") ? name.dropLast() : name
    let labels = relative.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    // RFC 1035 §2.3.4.
    guard labels.allSatisfy({ (1...63).contains($0.count) }), name.count <= 254 else {
      throw URLSyntaxError("the host has an empty label, a label of more than 63 bytes, or more than 253 in all")
    }
    guard let last = labels.last, isNumber(last) else { return String(decoding: name, as: UTF8.self) }
    // inet_aton takes 127.1, 0x7f.1 and 017700000001 for addresses, and others do not, so the meaning is ambiguous.
    guard labels.count == 4, labels.allSatisfy(isIPv4Number) else {
      throw URLSyntaxError("the host ends with a number and is not an IPv4 address of four decimal numbers")
    }
    return String(decoding: relative, as: UTF8.self)
  }

  /// Checks an IPv6 address, and a zone in either spelling: `%25eth0` (RFC 6874 §2) or `%eth0`.
  private static func parseIPv6(_ bytes: ArraySlice<UInt8>) throws(URLSyntaxError) -> String {
    let address = bytes.prefix { $0 != UInt8(ascii: "%") }
    guard isIPv6(address) else { throw URLSyntaxError("the host in brackets is not an IPv6 address") }
    let text = String(decoding: address, as: UTF8.self)
    guard address.endIndex < bytes.endIndex else { return text }
    var zone = bytes[(address.endIndex + 1)...]
    if zone.starts(with: "25".utf8) { zone = zone.dropFirst(2) }
    let name = try URLEncoding.decode(zone)
    guard !name.isEmpty, name.allSatisfy(isNameByte) else {
      throw URLSyntaxError("the zone of the host is not one")
    }
    return "\(text)%\(String(decoding: name, as: UTF8.self))"
  }

  /// RFC 4291 §2.2: eight groups. "::" stands for one or more of them, and an IPv4 address for the last two.
  private static func isIPv6(_ bytes: ArraySlice<UInt8>) -> Bool {
    let colon = UInt8(ascii: ":")
    let gap = bytes.indices.first { bytes[$0] == colon && bytes[($0 + 1)...].first == colon }
    guard let gap else { return groupCount(bytes) == 8 }
    guard let before = groupCount(bytes[..<gap], allowsIPv4: false), let rest = groupCount(bytes[(gap + 2)...]) else {
      return false
    }
    return before + rest <= 7
  }

  /// How many groups there are between single colons; nil if one is malformed.
  private static func groupCount(_ bytes: ArraySlice<UInt8>, allowsIPv4: Bool = true) -> Int? {
    if bytes.isEmpty { return 0 }
    var groups = bytes.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
    var count = groups.count
    if allowsIPv4, let last = groups.last, last.contains(UInt8(ascii: ".")) {
      let numbers = last.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
      guard numbers.count == 4, numbers.allSatisfy(isIPv4Number) else { return nil }
      groups.removeLast()
      count += 1
    }
    return groups.allSatisfy { (1...4).contains($0.count) && $0.allSatisfy(isHexDigit) } ? count : nil
  }

  /// Whether a resolver may take the label for a number: digits, or hexadecimal after `0x`.
  private static func isNumber(_ label: ArraySlice<UInt8>) -> Bool {
    let isHexadecimal =
      label.first == UInt8(ascii: "0") && label.dropFirst().first.map { $0 | 0x20 } == UInt8(ascii: "x")
    return isHexadecimal ? label.dropFirst(2).allSatisfy(isHexDigit) : label.allSatisfy(isDigit)
  }

  /// From 0 to 255, without leading zeros, which some take for octal.
  private static func isIPv4Number(_ digits: ArraySlice<UInt8>) -> Bool {
    guard (1...3).contains(digits.count), digits.allSatisfy(isDigit) else { return false }
    if digits.first == UInt8(ascii: "0") { return digits.count == 1 }
    return digits.reduce(0) { 10 * $0 + Int($1 - UInt8(ascii: "0")) } <= 255
  }

  /// RFC 3986 §3.2.2: a registered name.
  static func isNameByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
      UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
      UInt8(ascii: "~"), UInt8(ascii: "!"), UInt8(ascii: "$"), UInt8(ascii: "&"), UInt8(ascii: "'"),
      UInt8(ascii: "*"), UInt8(ascii: "+"):
      true
    default: false
    }
  }

  private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

  private static func isHexDigit(_ byte: UInt8) -> Bool {
    isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte | 0x20)
  }
}
