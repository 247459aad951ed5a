@preconcurrency internal import CSidecarSystem
internal import Glibc

/// One option of a subcommand.
struct Option: Sendable {
  /// Without the dashes.
  let name: String
  let letter: Character?
  /// The name of the value in the help; nil for an option without one.
  let value: String?
  let help: String

  /// Makes an option without a value.
  static func flag(_ name: String, _ letter: Character? = nil, _ help: String) -> Option {
    Option(name: name, letter: letter, value: nil, help: help)
  }

  /// Makes an option with a value.
  static func value(_ name: String, _ letter: Character? = nil, _ value: String, _ help: String) -> Option {
    Option(name: name, letter: letter, value: value, help: help)
  }

  static let help = Option.flag("help", "h", "Show this help.")
}

/// Invalid arguments: shown together with the usage.
struct UsageError: Error {
  let message: String

  init(_ message: String) {
    self.message = message
  }
}

/// The arguments that a subcommand accepts: for parsing them, and for its help.
struct CommandSyntax: Sendable {
  let name: String
  /// The operands as shown in the usage line, one word each.
  let operands: String
  /// One line.
  let summary: String
  /// Some paragraphs, wrapped.
  let details: String
  let options: [Option]

  var usage: String { "usage: sidecar \(name) [option…]\(operands.isEmpty ? "" : " " + operands)" }

  var help: String {
    let entries = (options + [.help]).map { option in
      let letter = option.letter.map { "-\($0), " } ?? "    "
      return ("\(letter)--\(option.name)\(option.value.map { " \($0)" } ?? "")", option.help)
    }
    let width = (entries.map(\.0.count).max() ?? 0) + 2
    let lines = entries.map { left, right in
      let texts = right.split(separator: "\n", omittingEmptySubsequences: false)
      return texts.enumerated().map { index, text in
        "  " + (index == 0 ? left : "").padded(to: width) + text + "\n"
      }.joined()
    }
    return "\(usage)\n\n\(summary)\n\n\(details)\n\nOptions:\n\(lines.joined())"
  }

  /// Parses the arguments with the system's `getopt_long`; returns nil if help is requested.
  ///
  /// Not reentrant, because the C function is not. Called once, for the process's own arguments.
  func parse(_ arguments: [String]) throws(UsageError) -> Arguments? {
    let known = options + [.help]
    var vector: [UnsafeMutablePointer<CChar>?] = (["sidecar"] + arguments).map { strdup($0) } + [nil]
    let names = known.map { strdup($0.name) }
    defer { for pointer in vector + names { free(pointer) } }
    // getopt_long returns this plus the index of a long option: beyond every character.
    let firstCode: Int32 = 256
    var table = known.indices.map { index in
      option(
        name: names[index], has_arg: known[index].value == nil ? no_argument : required_argument, flag: nil,
        val: firstCode + Int32(index))
    }
    table.append(option())
    // The leading colon makes getopt_long report a missing value as ':' instead of printing a message.
    let letters = known.reduce(":") { letters, option in
      option.letter.map { "\(letters)\($0)\(option.value == nil ? "" : ":")" } ?? letters
    }

    var found = Arguments()
    opterr = 0
    optind = 1
    while true {
      let code = getopt_long(Int32(arguments.count) + 1, &vector, letters, table, nil)
      if code == -1 { break }
      // The word that was just parsed; if it holds several letters, the letter.
      let letter = UInt8(exactly: optopt).flatMap { $0 == 0 ? nil : "-\(Character(UnicodeScalar($0)))" }
      let word = letter ?? (arguments.indices.contains(Int(optind) - 2) ? arguments[Int(optind) - 2] : "")
      let match = known.indices.first { index in
        code == firstCode + Int32(index) || known[index].letter?.asciiValue.map(Int32.init) == code
      }
      if code == Int32(UInt8(ascii: ":")) { throw UsageError("the option '\(word)' needs a value") }
      guard let match else { throw UsageError("there is no option '\(word)', or it is misspelled") }
      if known[match].name == Option.help.name { return nil }
      found.values[known[match].name, default: []].append(optarg.map { String(cString: $0) } ?? "")
    }
    found.operands = vector[Int(optind)..<arguments.count + 1].compactMap { $0.map { String(cString: $0) } }
    let expected = operands.split(separator: " ").map(String.init)
    if found.operands.count > expected.count {
      throw UsageError("unexpected argument '\(found.operands[expected.count])'")
    }
    if found.operands.count < expected.count { throw UsageError("\(expected[found.operands.count]) is missing") }
    return found
  }
}

/// The parsed arguments of a subcommand.
struct Arguments: Sendable {
  fileprivate(set) var operands: [String] = []
  fileprivate var values: [String: [String]] = [:]

  func has(_ option: Option) -> Bool { values[option.name] != nil }

  /// Returns every value of an option that can be repeated.
  func all(_ option: Option) -> [String] { values[option.name] ?? [] }

  /// The value of an option, the last one if it is repeated; nil if it was not given.
  subscript(_ option: Option) -> String? { values[option.name]?.last }

  /// Returns a whole number within `range`; nil if the option was not given.
  func number<Number: FixedWidthInteger>(
    _ option: Option, in range: ClosedRange<Number>
  ) throws(UsageError) -> Number? {
    guard let text = self[option] else { return nil }
    guard let number = Number(text), range.contains(number) else {
      let limits = "from \(range.lowerBound) to \(range.upperBound)"
      throw UsageError("--\(option.name) takes a whole number \(limits), not '\(text)'")
    }
    return number
  }

  /// Returns a time given in seconds, fractions allowed; nil if the option was not given.
  func seconds(_ option: Option, atLeast least: Duration = .milliseconds(1)) throws(UsageError) -> Duration? {
    guard let text = self[option] else { return nil }
    let most = 1e8
    guard let number = Double(text), number >= least / .seconds(1), number <= most else {
      throw UsageError("--\(option.name) takes a number of seconds, not '\(text)'")
    }
    return .seconds(number)
  }

  /// Returns one of several words; nil if the option was not given.
  func choice<Choice: CaseIterable & RawRepresentable>(
    _ option: Option, of type: Choice.Type
  ) throws(UsageError) -> Choice? where Choice.RawValue == String {
    guard let text = self[option] else { return nil }
    if let choice = Choice(rawValue: text) { return choice }
    let words = Choice.allCases.map(\.rawValue).joined(separator: " or ")
    throw UsageError("--\(option.name) takes \(words), not '\(text)'")
  }
}
