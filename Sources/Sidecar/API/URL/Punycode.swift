/// The ASCII form of names beyond ASCII (RFC 3492).
enum Punycode {
  /// Returns the ASCII form of a host, or nil if it depends on tables that are not here.
  ///
  /// Lower case is all that is mapped. A name that IDNA would map or compose further is left to the user.
  static func asciiHost(_ host: String) -> String? {
    let scalars = host.lowercased().unicodeScalars
    guard scalars.allSatisfy(staysAsItIs) else { return nil }
    var labels: [String] = []
    for label in scalars.split(separator: ".", omittingEmptySubsequences: false) {
      guard !label.allSatisfy(\.isASCII) else {
        labels.append(String(label))
        continue
      }
      guard let encoded = encode(Array(label)), encoded.utf8.count <= 59 else { return nil }
      labels.append("xn--\(encoded)")
    }
    return labels.joined(separator: ".")
  }

  /// Whether IDNA leaves the character as it is, wherever it stands.
  private static func staysAsItIs(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.isASCII { return URLHost.isNameByte(UInt8(truncatingIfNeeded: scalar.value)) }
    // ß and ς change in case folding, and stay in IDNA2008.
    if scalar == "ß" || scalar == "ς" { return true }
    let properties = scalar.properties
    // A mark may belong to a composed character, and so may a vowel or final consonant of Hangul.
    let isComposed = properties.canonicalCombiningClass == .notReordered && !(0x1161...0x11FF).contains(scalar.value)
    let isLetter = properties.isAlphabetic || properties.generalCategory == .decimalNumber
    return isComposed && isLetter && !properties.changesWhenNFKCCaseFolded
  }

  /// RFC 3492 §6.3.
  private static func encode(_ label: [Unicode.Scalar]) -> String? {
    var output = label.filter(\.isASCII).map { UInt8(truncatingIfNeeded: $0.value) }
    var handled = output.count
    let basicCount = handled
    if basicCount > 0 { output.append(UInt8(ascii: "-")) }
    var n: UInt32 = 128
    var delta = 0
    var bias = 72
    while handled < label.count {
      guard let next = label.lazy.map(\.value).filter({ $0 >= n }).min() else { return nil }
      delta += Int(next - n) * (handled + 1)
      n = next
      for scalar in label {
        if scalar.value < n { delta += 1 }
        guard scalar.value == n else { continue }
        var q = delta
        var k = 36
        while true {
          let threshold = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias
          if q < threshold { break }
          output.append(digit(threshold + (q - threshold) % (36 - threshold)))
          q = (q - threshold) / (36 - threshold)
          k += 36
        }
        output.append(digit(q))
        bias = adapted(delta, handled + 1, isFirst: handled == basicCount)
        delta = 0
        handled += 1
      }
      delta += 1
      n += 1
    }
    return String(decoding: output, as: UTF8.self)
  }

  /// RFC 3492 §6.1.
  private static func adapted(_ delta: Int, _ count: Int, isFirst: Bool) -> Int {
    var delta = isFirst ? delta / 700 : delta / 2
    delta += delta / count
    var k = 0
    while delta > 455 {
      delta /= 35
      k += 36
    }
    return k + 36 * delta / (delta + 38)
  }

  private static func digit(_ value: Int) -> UInt8 {
    UInt8(truncatingIfNeeded: value < 26 ? value + 97 : value + 22)
  }
}
