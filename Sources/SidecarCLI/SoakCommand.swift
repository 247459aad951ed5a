internal import Sidecar

/// `sidecar soak`: runs many cycles, and checks that nothing leaks, hangs or comes late.
enum SoakCommand {
  private static let seconds = Option.value("seconds", "s", "SECONDS", "How long to run. Default: 30.")
  private static let cycles = Option.value("cycles", "n", "NUMBER", "Instead: how many cycles to run.")
  private static let only = Option.value(
    "only", "o", "NUMBER",
    "Instead: run only the cycle with this number, to repeat a\nfailure; with --seed. Shows the shutdown reports.")
  private static let seed = Option.value(
    "seed", "r", "NUMBER", "The seed of all random choices. Default: a random one,\nwhich is shown.")
  private static let parallel = Option.value("parallel", "j", "NUMBER", "How many cycles run at once. Default: 8.")
  private static let slack = Option.value(
    "slack", nil, "SECONDS",
    "How much longer than its bound a shutdown may take.\nDefault: 0.1, as the library promises.")
  private static let threadsLimit = Option.value(
    "threads-limit", nil, "NUMBER",
    "How many threads the process may have between rounds.\nDefault: 16 more than after the warm-up.")
  private static let memoryTolerance = Option.value(
    "memory-tolerance", nil, "MIB", "How much resident memory may grow after the warm-up.\nDefault: 64.")

  static let syntax = CommandSyntax(
    name: "soak", operands: "", summary: "Create, use and end sidecars, and check that nothing leaks.",
    details: """
      Each cycle creates a sidecar, uses it and ends it, against a server in this
      process. The API, the server's fault (if any), the moment of the shutdown and
      its bound are chosen at random. Several cycles run at once.

      Each shutdown, and every call in progress, must end within the shutdown's bound
      plus 0.1 s. Between rounds nothing of the library may be alive, and the process
      may have no more threads, descriptors and memory than after a warm-up (4 MiB
      more of allocated memory are tolerated).

      The exit code is 1 if any of this fails; the summary then says how to repeat
      it. Ctrl-C ends the run early, in order, with the summary.
      """,
    options: [seconds, cycles, only, seed, parallel, slack, threadsLimit, memoryTolerance])

  static func run(_ arguments: Arguments) async throws -> ExitCode {
    var settings = SoakRun.Settings()
    settings.seed = try arguments.number(seed, in: 0...UInt64.max) ?? UInt64.random(in: 0..<1_000_000_000)
    if let number = try arguments.number(only, in: 0...Int(Int32.max)) {
      settings.numbers = number..<number + 1
      settings.showsReports = true
      Terminal.output.write("cycle \(number): \(SoakPlan(seed: settings.seed, number: number))\n")
    } else if let count = try arguments.number(cycles, in: 1...Int(Int32.max)) {
      settings.numbers = 0..<count
      settings.warmUp = min(settings.warmUp, max(1, count / 4))
    } else {
      settings.time = try arguments.seconds(seconds) ?? .seconds(30)
    }
    settings.parallel = try arguments.number(parallel, in: 1...1000) ?? settings.parallel
    settings.slack = try arguments.seconds(slack) ?? settings.slack
    settings.threadsLimit = try arguments.number(threadsLimit, in: 1...1_000_000)
    if let tolerance = try arguments.number(memoryTolerance, in: 0...1_000_000) {
      settings.memoryTolerance = tolerance << 20
    }

    let progress = ProgressLine(plainInterval: .seconds(5))
    let run = SoakRun(settings, stop: .raisedBySignal(), progress: progress)
    do {
      try await run.run()
    } catch {
      // Most likely out of descriptors or threads. The summary shows how far the soak came.
      show(run, settings)
      throw error
    }
    show(run, settings)
    return run.tally.failures.isEmpty ? .success : .failure
  }

  // MARK: The summary

  private static func show(_ run: SoakRun, _ settings: SoakRun.Settings) {
    let tally = run.tally
    func line(_ name: String, _ text: String) { Terminal.output.write("  \(name.padded(to: 13))\(text)\n") }

    let rate = Formatting.decimal(Double(tally.cycles) / max(run.elapsed.inSeconds, 0.001), places: 0)
    let title = Terminal.output.styled("soak", .bold)
    Terminal.output.write(
      "\(title): \(Formatting.count(tally.cycles)) cycles in \(run.elapsed.readable), \(rate) a second, seed \(settings.seed)\n"
    )
    let uses = SoakPlan.Use.allCases.map { "\(Formatting.count(tally.uses[$0] ?? 0)) \($0.rawValue)" }
    line("used", uses.joined(separator: ", "))
    line(
      "shut down",
      "\(Formatting.count(tally.shutdowns)), the worst \(max(.zero, tally.worstExcess).readable) beyond its bound; "
        + "\(Formatting.count(tally.shutdowns - tally.cleanShutdowns)) not clean")
    if tally.shutdownsWithAbandoned > 0 {
      line(
        "", "\(Formatting.count(tally.shutdownsWithAbandoned)) of them abandoned something, which then ended by itself")
    }
    if let before = run.baseline, let after = run.lastCensus {
      line("alive", "\(after.alive)")
      line("threads", "\(after.threads), after the warm-up \(before.threads)")
      line("descriptors", "\(after.descriptors), after the warm-up \(before.descriptors)")
      line(
        "allocated",
        "\(Formatting.memory(after.heapBytes)), after the warm-up \(Formatting.memory(before.heapBytes))")
      line(
        "resident",
        "\(Formatting.memory(after.residentBytes)), after the warm-up \(Formatting.memory(before.residentBytes)), "
          + "at most \(Formatting.memory(tally.mostResident))")
      line("checked", "\(Formatting.count(tally.checks)) times between rounds")
    }
    guard !tally.failures.isEmpty else {
      return Terminal.output.write(Terminal.output.styled("nothing has drifted", .good) + "\n")
    }
    for (cycle, text) in tally.failures.prefix(20) {
      Terminal.output.write(Terminal.output.styled("failed", .bad) + ": \(Escaping.line(text))\n")
      if let cycle {
        Terminal.output.write("        again with: sidecar soak --seed \(settings.seed) --only \(cycle)\n")
      }
    }
    let rest = tally.failures.count - 20
    if rest > 0 { Terminal.output.write("and \(rest) more\n") }
  }
}
