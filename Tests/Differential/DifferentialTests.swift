import SidecarTestSupport
import Testing

/// The same bytes through this library's receiver and through two parsers that others wrote.
///
/// Runs for `DIFFERENTIAL_SECONDS` (default: 10) from the seed `DIFFERENTIAL_SEED` (default: always the same; 0 takes a
/// random one). The seed and the number of a case are in the message of a failure, and make the same case again.
@Suite struct SidecarDifferentialTests {
  @Test func `independent parsers report the same, or a difference that is known`() async throws {
    let environment = { (name: String) in ProcessInfoLite.environment(name).flatMap { UInt64($0) } }
    let bound = Duration.seconds(Int64(environment("DIFFERENTIAL_SECONDS") ?? 10))
    var seed = environment("DIFFERENTIAL_SEED") ?? 6455
    if seed == 0 { seed = .random(in: 1...UInt64(UInt32.max)) }
    let outcome = try await onThread { [seed] in try Self.compare(seed: seed, for: bound) }
    print("differential: seed \(seed), \(outcome.summary)")
    for failure in outcome.failures { Issue.record("\(failure)") }
    #expect(outcome.cases >= 100, "too few cases to say anything")
  }

  struct Outcome {
    var cases = 0
    var identical = 0
    var known: [String: Int] = [:]
    var failures: [String] = []

    var summary: String {
      let differences = known.sorted { $0.key < $1.key }.map { "  \($0.key): \($0.value)" }
      return "\(cases) cases, \(identical) of \(2 * cases) comparisons identical, the others known:\n"
        + differences.joined(separator: "\n")
    }
  }

  private static func compare(seed: UInt64, for bound: Duration) throws -> Outcome {
    let peer = try ParserPeer()
    var outcome = Outcome()
    let end = ContinuousClock.now + bound
    while ContinuousClock.now < end || outcome.cases < 100, outcome.failures.count < 5 {
      let number = UInt64(outcome.cases)
      var random = SeededGenerator(seed: seed &* 0x1_0000_0001 &+ number)
      let conversation = Conversation(using: &random)
      let ours = OurReception(of: conversation)
      let answers = try peer.answers(to: conversation)
      outcome.cases += 1
      for parser in Parser.allCases {
        guard let theirs = answers[parser] else { continue }
        guard let divergence = divergence(ours, theirs, parser, conversation) else {
          outcome.identical += 1
          continue
        }
        let explanation = KnownDifference.all.first { $0.parsers.contains(parser) && $0.explains(divergence) }
        if let explanation {
          outcome.known["\(parser), \(explanation.name)", default: 0] += 1
        } else {
          outcome.failures.append("seed \(seed), case \(number): \(parser) \(describe(divergence, ours, theirs))")
        }
      }
    }
    return outcome
  }

  private static func divergence(
    _ ours: OurReception, _ theirs: ParserPeer.Answer, _ parser: Parser, _ conversation: Conversation
  ) -> Divergence? {
    let count = max(ours.events.count, theirs.events.count)
    for index in 0..<count {
      let mine = index < ours.events.count ? ours.events[index] : nil
      let other = index < theirs.events.count ? theirs.events[index] : nil
      guard mine != other else { continue }
      var rule = ours.rule
      if case .violation = mine {} else { rule = nil }
      return Divergence(
        parser: parser, conversation: conversation, ours: mine, rule: rule, theirs: other,
        sawFinalBlock: theirs.sawFinalBlock)
    }
    return nil
  }

  private static func describe(_ divergence: Divergence, _ ours: OurReception, _ theirs: ParserPeer.Answer) -> String {
    let conversation = divergence.conversation
    return """
      reports \(divergence.theirs.map(String.init(describing:)) ?? "nothing more"), and we \
      \(divergence.ours.map(String.init(describing:)) ?? "nothing more") (\(ours.rule.map { "\($0)" } ?? "no rule")).
        \(conversation.role), limit \(conversation.limit), \(conversation.deflate.map { "\($0)" } ?? "no compression"), \
      \(conversation.bytes.count) bytes, cut: \(conversation.isCut), pieces of up to \(conversation.pieces.max() ?? 0)
        ours: \(ours.events)
        theirs: \(theirs.events)
      """
  }
}
