import Glibc
import SidecarExecutor
import SidecarTestSupport
import Testing

/// How long a test waits for an event. Only a failure takes that long.
let patience = Duration.seconds(60)

/// The built command, run as a user would: in a process of its own, with pipes.
///
/// It never outlives the test: dropping the last reference kills it.
final class CommandProcess: Sendable {
  /// The results of a command that has ended.
  struct Finished: Sendable {
    /// The exit code; 128 plus the signal's number if a signal ended the process.
    let code: Int32
    let output: String
    let errors: String

    var lines: [Substring] { output.split(separator: "\n", omittingEmptySubsequences: false).dropLast() }
  }

  private let process: pid_t
  private let input: Stream
  private let output: Stream
  private let errors: Stream
  private let status = Promise<Int32>()

  /// Starts `sidecar` with these arguments.
  convenience init(_ arguments: String...) throws {
    try self.init(arguments)
  }

  convenience init(_ arguments: [String], program: String = CommandProcess.path) throws {
    let (input, childInput) = try Stream.pair()
    let (output, childOutput) = try Stream.pair()
    let (errors, childErrors) = try Stream.pair()
    try self.init(program, arguments, ours: [input, output, errors], theirs: [childInput, childOutput, childErrors])
  }

  /// Starts `sidecar` in a process that can have at most this many descriptors.
  convenience init(descriptorLimit: Int, _ arguments: String...) throws {
    try self.init(
      ["-c", "ulimit -n \(descriptorLimit) && exec \"$0\" \"$@\"", CommandProcess.path] + arguments, program: "/bin/sh")
  }

  /// Starts the command on a terminal of its own, which is all of its standard streams.
  convenience init(onTerminal arguments: String...) throws {
    let (ours, theirs) = try Stream.terminal()
    try self.init(CommandProcess.path, arguments, ours: [ours, ours, ours], theirs: [theirs, theirs, theirs])
  }

  private init(_ program: String, _ arguments: [String], ours: [Stream], theirs: [Stream]) throws {
    (input, output, errors) = (ours[0], ours[1], ours[2])
    // Keeps their ends open until the command has them: an optimiser may release objects after their last use.
    process = try withExtendedLifetime(theirs) {
      try CommandProcess.spawn([program] + arguments, theirs.map(\.descriptor))
    }
    let (process, status) = (process, status)
    startThread {
      var result: Int32 = 0
      while waitpid(process, &result, 0) == -1, errno == EINTR {}
      status.complete(result & 0x7F == 0 ? (result >> 8) & 0xFF : 128 + result & 0x7F)
    }
    output.startReading()
    if errors !== output { errors.startReading() }
  }

  deinit {
    if status.current == nil { kill(process, SIGKILL) }
  }

  /// Writes to the command's standard input, on another thread.
  func write(_ bytes: [UInt8]) {
    let input = input
    startThread { input.write(bytes) }
  }

  func write(_ text: String) { write(Array(text.utf8)) }

  /// Writes all bytes, and then ends the standard input.
  func writeAll(_ bytes: [UInt8]) {
    let input = input
    startThread {
      input.write(bytes)
      input.shutdownWrite()
    }
  }

  /// Closes our end of the command's standard output, as `head` does.
  func stopReadingOutput() { output.endReading() }

  func send(signal: Int32) { kill(process, signal) }

  /// Waits until the standard output has at least `count` lines, and returns them.
  func outputLines(_ count: Int) async throws -> [Substring] {
    let hasThem = await eventually(within: patience) { () async in self.output.lineCount >= count }
    try #require(hasThem, "the output is \(output.text), the errors are \(errors.text)")
    return output.text.split(separator: "\n", omittingEmptySubsequences: false)
  }

  /// Waits until the standard error contains `text`; returns whether it does.
  func errorsContain(_ text: String) async -> Bool {
    await eventually(within: patience) { () async in self.errors.text.contains(text) }
  }

  /// Waits until the command has ended and all of its output has been read.
  func finished() async throws -> Finished {
    guard case .value(let code) = await status.value(until: .after(patience)),
      case .value = await output.ended.value(until: .after(patience)),
      case .value = await errors.ended.value(until: .after(patience))
    else {
      kill(process, SIGKILL)
      throw Hanging(description: "the command does not end; output: \(output.text), errors: \(errors.text)")
    }
    return Finished(code: code, output: output.text, errors: errors.text)
  }

  struct Hanging: Error, CustomStringConvertible {
    let description: String
  }

  // MARK: Processes

  /// The executable, which is built beside the tests.
  static let path: String = {
    var buffer = [CChar](repeating: 0, count: 4096)
    let length = readlink("/proc/self/exe", &buffer, buffer.count)
    let own = String(decoding: buffer.prefix(max(0, length)).map(UInt8.init(bitPattern:)), as: UTF8.self)
    return own.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/") + "/sidecar"
  }()

  private static func spawn(_ arguments: [String], _ streams: [Int32]) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for (target, stream) in streams.enumerated() {
      posix_spawn_file_actions_adddup2(&actions, stream, Int32(target))
    }
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // The pool's threads block signals, and the command would inherit that.
    var nothing = sigset_t()
    sigemptyset(&nothing)
    posix_spawnattr_setsigmask(&attributes, &nothing)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))

    var vector: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    defer { for argument in vector { free(argument) } }
    var process: pid_t = 0
    let error = posix_spawn(&process, arguments[0], &actions, &attributes, &vector, environ)
    guard error == 0 else { throw SystemError("posix_spawn", code: error) }
    return process
  }
}

/// Runs the command with this input, and waits for its end.
func run(_ arguments: String..., input: [UInt8] = []) async throws -> CommandProcess.Finished {
  let command = try CommandProcess(arguments)
  command.writeAll(input)
  return try await command.finished()
}
