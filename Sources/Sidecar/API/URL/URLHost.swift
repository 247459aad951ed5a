/// The host of a URL (RFC 3986 §3.2.2).
enum URLHost {
  /// Returns the host as the resolver takes it: without brackets and escapes.
  ///
  /// - Throws: Why it is not one. A name beyond ASCII is refused with the spelling to use, as the mapping of IDNA needs
  ///   tables that this library does not carry.
  static func parse(_ text: Substring) throws(URLSyntaxError) -> String {
    if text.isEmpty { throw URLSyntaxError("it has no host") }
    if text.utf8.first == UInt8(ascii: "[") { return try parseIPv6(text.dropFirst().dropLast()) }
    let name = try URLEncoding.decode(text)
    guard name.utf8.allSatisfy({ $0 < 0x80 }) else {
      let spelling = Punycode.asciiHost(name).map { "write it as \($0)" } ?? "write it in its ASCII form, xn--…"
      throw URLSyntaxError("the host is not ASCII; \(spelling)")
    }
    guard name.utf8.allSatisfy(isNameByte) else { throw URLSyntaxError("the host has a character that no name has") }
    // A dot at the end marks the root of the DNS.
    let labels = (name.utf8.last == UInt8(ascii: ".") ? name.dropLast() : name[...])
      .split(separator: ".", omittingEmptySubsequences: false)
    // RFC 1035 §2.3.4.
    guard labels.allSatisfy({ (1...63).contains($0.utf8.count) }), name.utf8.count <= 254 else {
      throw URLSyntaxError("the host has an empty label, a label of more than 63 bytes, or more than 253 in all")
    }
    guard let last = labels.last, isNumber(last) else { return name }
    // inet_aton takes 127.1, 0x7f.1 and 017700000001 for addresses, and others do not: nobody can tell what is meant.
    guard labels.count == 4, labels.allSatisfy(isIPv4Number) else {
      throw URLSyntaxError("the host ends with a number and is not an IPv4 address of four decimal numbers")
    }
    return labels.joined(separator: ".")
  }

  /// Checks an IPv6 address, and a zone in either spelling: `%25eth0` (RFC 6874 §2) or `%eth0`.
  private static func parseIPv6(_ text: Substring) throws(URLSyntaxError) -> String {
    let address = text.utf8.prefix { $0 != UInt8(ascii: "%") }
    guard isIPv6(text[..<address.endIndex]) else { throw URLSyntaxError("the host in brackets is not an IPv6 address") }
    guard address.endIndex < text.endIndex else { return String(text) }
    var zone = text[text.utf8.index(after: address.endIndex)...]
    if zone.utf8.starts(with: "25".utf8) { zone = zone.dropFirst(2) }
    let name = try URLEncoding.decode(zone)
    guard !name.isEmpty, name.utf8.allSatisfy(isNameByte) else {
      throw URLSyntaxError("the zone of the host is not one")
    }
    return "\(text[..<address.endIndex])%\(name)"
  }

  /// RFC 4291 §2.2: eight groups. "::" stands for one or more of them, and an IPv4 address for the last two.
  private static func isIPv6(_ text: Substring) -> Bool {
    let colon = UInt8(ascii: ":")
    let gap = text.utf8.indices.first {
      text.utf8[$0] == colon && text.utf8[text.utf8.index(after: $0)...].first == colon
    }
    guard let gap else { return groupCount(text) == 8 }
    let after = text[text.utf8.index(gap, offsetBy: 2)...]
    guard let before = groupCount(text[..<gap], allowsIPv4: false), let rest = groupCount(after) else { return false }
    return before + rest <= 7
  }

  /// How many groups there are between single colons; nil if one is malformed.
  private static func groupCount(_ text: Substring, allowsIPv4: Bool = true) -> Int? {
    if text.isEmpty { return 0 }
    var groups = text.split(separator: ":", omittingEmptySubsequences: false)
    var count = groups.count
    if allowsIPv4, let last = groups.last, last.utf8.contains(UInt8(ascii: ".")) {
      let numbers = last.split(separator: ".", omittingEmptySubsequences: false)
      guard numbers.count == 4, numbers.allSatisfy(isIPv4Number) else { return nil }
      groups.removeLast()
      count += 1
    }
    return groups.allSatisfy { (1...4).contains($0.utf8.count) && $0.utf8.allSatisfy(isHexDigit) } ? count : nil
  }

  /// Whether a resolver may take the label for a number: digits, or hexadecimal after `0x`.
  private static func isNumber(_ label: Substring) -> Bool {
    let digits = label.lowercased().hasPrefix("0x") ? label.utf8.dropFirst(2) : label.utf8[...]
    return digits.allSatisfy(digits.count == label.utf8.count ? isDigit : isHexDigit)
  }

  /// From 0 to 255, without leading zeros, which some take for octal.
  private static func isIPv4Number(_ text: Substring) -> Bool {
    text.utf8.allSatisfy(isDigit) && UInt8(text) != nil
      && (text.utf8.count == 1 || text.utf8.first != UInt8(ascii: "0"))
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
