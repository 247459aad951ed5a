internal import Glibc
internal import Sidecar

/// The `sidecar` command: finds the subcommand, runs it, and exits with its code.
@main
struct Command {
  private static let subcommands = [
    Subcommand(ConnectCommand.syntax, run: .onThread(ConnectCommand.run)),
    Subcommand(ServeCommand.syntax, run: .onThread(ServeCommand.run)),
    Subcommand(DemoCommand.syntax, run: .inTask(DemoCommand.run)),
    Subcommand(SoakCommand.syntax, run: .inTask(SoakCommand.run)),
    Subcommand(ConformanceCommand.syntax, run: .inTask(ConformanceCommand.run)),
  ]

  static func main() {
    // Before the first thread is started: threads inherit the mask, so only the one that waits gets the signals.
    SignalHandler.blockSignals()
    signal(SIGPIPE, SIG_IGN)
    // If a standard stream is closed, a socket must not get its number.
    for stream in STDIN_FILENO...STDERR_FILENO where fcntl(stream, F_GETFD) == -1 { _ = open("/dev/null", O_RDWR) }
    do throws(SystemError) {
      try startThread("command") { exit(run(CommandLine.arguments.dropFirst()).rawValue) }
    } catch {
      Terminal.error.write("sidecar: \(error)\n")
      exit(ExitCode.failure.rawValue)
    }
    SignalHandler.waitForSignals()
  }

  private static func run(_ arguments: ArraySlice<String>) -> ExitCode {
    guard let name = arguments.first else {
      Terminal.error.write("sidecar: a subcommand is missing\n\n" + overview)
      return .usage
    }
    if ["help", "--help", "-h"].contains(name) {
      let topic = subcommands.first { $0.syntax.name == arguments.dropFirst().first }
      Terminal.output.write(topic?.syntax.help ?? overview)
      return .success
    }
    guard let subcommand = subcommands.first(where: { $0.syntax.name == name }) else {
      Terminal.error.write("sidecar: there is no subcommand \(name.debugDescription)\n\n" + overview)
      return .usage
    }
    return run(subcommand, Array(arguments.dropFirst()))
  }

  private static func run(_ subcommand: Subcommand, _ arguments: [String]) -> ExitCode {
    let syntax = subcommand.syntax
    do {
      guard let arguments = try syntax.parse(arguments) else {
        Terminal.output.write(syntax.help)
        return .success
      }
      return try subcommand.run(arguments)
    } catch let error as UsageError {
      Terminal.error.write(
        "sidecar \(syntax.name): \(Escaping.line(error.message))\n\(syntax.usage)\n"
          + "Try 'sidecar \(syntax.name) --help' for the options.\n")
      return .usage
    } catch {
      // Parts of the text may come from the peer.
      Terminal.error.write("sidecar \(syntax.name): \(Escaping.line("\(error)"))\n")
      return .failure
    }
  }

  private static var overview: String {
    let width = (subcommands.map(\.syntax.name.count).max() ?? 0) + 2
    let list = subcommands.map { "  \($0.syntax.name.padded(to: width))\($0.syntax.summary)\n" }.joined()
    return """
      usage: sidecar SUBCOMMAND …

      A WebSocket client that runs on its own thread and always shuts down in time.

      \(list)
      'sidecar SUBCOMMAND --help' explains each.

      """
  }
}

/// The exit codes of the process.
enum ExitCode: Int32 {
  case success = 0
  case failure = 1
  /// The command line is invalid.
  case usage = 2
}

/// One subcommand: its syntax and its implementation.
private struct Subcommand: Sendable {
  /// How the subcommand runs. It throws ``UsageError`` for invalid arguments, and any other error to be shown in one
  /// line.
  enum Body: Sendable {
    /// On a plain thread, without the cooperative thread pool: Dispatch, which provides the pool's threads, crashes a
    /// process that has no descriptor left.
    case onThread(@Sendable (Arguments) throws -> ExitCode)
    case inTask(@Sendable (Arguments) async throws -> ExitCode)
  }

  let syntax: CommandSyntax
  private let body: Body

  init(_ syntax: CommandSyntax, run body: Body) {
    self.syntax = syntax
    self.body = body
  }

  /// Runs the subcommand, and blocks until it has ended.
  func run(_ arguments: Arguments) throws -> ExitCode {
    switch body {
    case .onThread(let body): return try body(arguments)
    case .inTask(let body):
      let outcome = Promise<Result<ExitCode, any Error>>()
      Task.detached {
        do { outcome.complete(.success(try await body(arguments))) } catch { outcome.complete(.failure(error)) }
      }
      return try outcome.wait()
    }
  }
}

extension Promise {
  /// Blocks the calling thread until there is a result, and returns or throws it.
  fileprivate func wait<Success>() throws -> Success where Value == Result<Success, any Error> {
    while true {
      if let result = wait(until: .never) { return try result.get() }
    }
  }
}

/// A failure, described in one line for the user.
struct CommandError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) {
    self.description = description
  }
}
