internal import Glibc
internal import Sidecar

/// The `sidecar` command: finds the subcommand, and turns what comes of it into an exit code.
@main
struct Command {
  private static let subcommands = [
    Subcommand(syntax: ConnectCommand.syntax, run: ConnectCommand.run),
    Subcommand(syntax: ServeCommand.syntax, run: ServeCommand.run),
    Subcommand(syntax: DemoCommand.syntax, run: DemoCommand.run),
    Subcommand(syntax: SoakCommand.syntax, run: SoakCommand.run),
    Subcommand(syntax: ConformanceCommand.syntax, run: ConformanceCommand.run),
  ]

  static func main() {
    // Before the first thread: what is blocked here is blocked everywhere, and only who waits for it gets it.
    SignalHandler.blockSignals()
    signal(SIGPIPE, SIG_IGN)
    // A standard stream that is closed must not become the number of a socket.
    for stream in STDIN_FILENO...STDERR_FILENO where fcntl(stream, F_GETFD) == -1 { _ = open("/dev/null", O_RDWR) }
    // Detached, because this function belongs to the main actor, which gets nothing done from here on.
    Task.detached { exit(await run(CommandLine.arguments.dropFirst()).rawValue) }
    SignalHandler.waitForSignals()
  }

  private static func run(_ arguments: ArraySlice<String>) async -> ExitCode {
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
    return await run(subcommand, Array(arguments.dropFirst()))
  }

  private static func run(_ subcommand: Subcommand, _ arguments: [String]) async -> ExitCode {
    let syntax = subcommand.syntax
    do {
      guard let arguments = try syntax.parse(arguments) else {
        Terminal.output.write(syntax.help)
        return .success
      }
      return try await subcommand.run(arguments)
    } catch let error as UsageError {
      Terminal.error.write(
        "sidecar \(syntax.name): \(Escaping.line(error.message))\n\(syntax.usage)\n"
          + "Try 'sidecar \(syntax.name) --help' for the options.\n")
      return .usage
    } catch {
      // The peer may have had a say in the text.
      Terminal.error.write("sidecar \(syntax.name): \(Escaping.line("\(error)"))\n")
      return .failure
    }
  }

  private static var overview: String {
    let width = (subcommands.map(\.syntax.name.count).max() ?? 0) + 2
    let list = subcommands.map { "  \($0.syntax.name.padded(to: width))\($0.syntax.summary)\n" }.joined()
    return """
      usage: sidecar SUBCOMMAND …

      A WebSocket client that runs on a thread of its own, and that ends in time.

      \(list)
      'sidecar SUBCOMMAND --help' explains each.

      """
  }
}

/// What the command says to the shell.
enum ExitCode: Int32 {
  case success = 0
  case failure = 1
  /// The command line makes no sense.
  case usage = 2
}

/// One of the command's verbs.
private struct Subcommand: Sendable {
  let syntax: CommandSyntax
  /// Does it. Throws ``UsageError`` for arguments that make no sense, and whatever else the user is to read.
  let run: @Sendable (Arguments) async throws -> ExitCode
}

/// Something that went wrong, in one line for the user.
struct CommandError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) {
    self.description = description
  }
}
