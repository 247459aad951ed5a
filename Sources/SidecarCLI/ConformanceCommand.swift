internal import Sidecar

/// `sidecar conformance`: the client that a WebSocket fuzzing server tests.
enum ConformanceCommand {
  private static let agent = Option.value(
    "agent", "a", "NAME", "The name that the report is filed under.\nDefault: Sidecar.")
  private static let cases = Option.value("cases", "c", "A-B", "Run these cases only. Default: all.")
  private static let timeout = Option.value("timeout", "t", "SECONDS", "How long a case may take. Default: 60.")
  private static let plain = Option.flag("no-compression", nil, "Do not offer permessage-deflate.")

  static let syntax = CommandSyntax(
    name: "conformance", operands: "URL", summary: "Run a WebSocket fuzzing server's cases against this client.",
    details: """
      Asks the server at URL for its number of cases (/getCaseCount), runs each of
      them (/runCase?case=N&agent=NAME), and makes the server write its report
      (/updateReports?agent=NAME). In each case, every message is sent back unchanged
      until the server closes the connection.

      Most cases violate the protocol on purpose. A connection that ends with an error
      is therefore counted, but is no failure: the server's report says who passed. The
      exit code is 1 if a case did not run to its end, or an echo was lost.
      """,
    options: [agent, cases, timeout, plain])

  static func run(_ arguments: Arguments) async throws -> ExitCode {
    let name = arguments[agent] ?? "Sidecar"
    let limit = try arguments.seconds(timeout) ?? .seconds(60)
    let server = try FuzzingServer(
      arguments.operands[0], agent: name, offersCompression: !arguments.has(plain), limit: limit)
    let progress = ProgressLine(plainInterval: .seconds(5))
    let stop = StopFlag.raisedBySignal()

    let count = try await server.caseCount()
    let range = try arguments[cases].map { text throws(UsageError) in try parse(text, upTo: count) } ?? 1..<count + 1
    var outcomes: [FuzzingServer.Outcome: [Int]] = [:]
    let start = ContinuousClock.now
    for number in range where !stop.isRaised {
      progress.show(
        ProgressLine.bar(number - range.lowerBound, of: range.count)
          + " case \(number) of \(range.upperBound - 1), \((ContinuousClock.now - start).readable)")
      outcomes[await server.runCase(number), default: []].append(number)
    }
    progress.clear()
    show(outcomes, of: range.count, in: .now - start)
    try await server.updateReports()

    let isComplete = outcomes.values.joined().count == range.count
    return isComplete && outcomes.keys.allSatisfy(\.ranToItsEnd) ? .success : .failure
  }

  /// `A-B`, or one number.
  private static func parse(_ text: String, upTo count: Int) throws(UsageError) -> Range<Int> {
    let bounds = text.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
    guard let first = bounds.first ?? nil, let last = bounds.last ?? nil, bounds.count <= 2,
      first >= 1, first <= last, last <= count
    else { throw UsageError("--cases takes A-B, from 1 to \(count), not '\(text)'") }
    return first..<last + 1
  }

  private static func show(_ outcomes: [FuzzingServer.Outcome: [Int]], of count: Int, in time: Duration) {
    let ran = outcomes.values.joined().count
    let title = Terminal.output.styled("conformance", .bold)
    Terminal.output.write("\(title): \(ran) of \(count) cases in \(time.readable)\n")
    let sorted = outcomes.sorted { left, right in
      (-left.value.count, left.value.first ?? 0) < (-right.value.count, right.value.first ?? 0)
    }
    for (outcome, numbers) in sorted {
      let style: Terminal.Style = outcome.ranToItsEnd ? .dim : .bad
      let which = numbers.count > 12 ? "" : " (" + numbers.map(String.init).joined(separator: ", ") + ")"
      let text = Terminal.output.styled(Escaping.line(outcome.description), style)
      Terminal.output.write("\("\(numbers.count)".aligned(to: 6)) \(text)\(which)\n")
    }
  }
}
