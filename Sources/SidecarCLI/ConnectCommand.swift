internal import Sidecar

/// `sidecar connect`: lines go out as messages, messages come in as lines.
enum ConnectCommand {
  private static let header = Option.value(
    "header", "H", "'NAME: VALUE'", "Send this header with the upgrade request. Can be repeated.")
  private static let subprotocol = Option.value(
    "subprotocol", "p", "NAME", "Offer this subprotocol. Can be repeated: the preferred one first.")
  private static let timeout = Option.value(
    "timeout", "t", "SECONDS", "How long each step of connecting may take. Default: 10.")
  private static let linger = Option.value(
    "linger", "l", "SECONDS",
    "At the end of the input, close when no message has come\nfor this long. Default: 1; on a terminal 0.")
  private static let keepOpen = Option.flag(
    "keep-open", "k", "At the end of the input, keep receiving until the peer\ncloses, or Ctrl-C.")
  private static let shutdownWithin = Option.value(
    "shutdown-within", "w", "SECONDS", "How long closing may take at the end. Default: 5.")
  private static let binary = Option.flag("binary", "b", "Send each line as a binary message. Any bytes are allowed.")
  private static let binaryOutput = Option.value(
    "binary-output", nil, "STYLE",
    "Show binary messages as a summary (the length and the\nfirst bytes; the default), as hex or raw.")
  private static let raw = Option.flag("raw", "r", "Show text unchanged, control characters included.")
  private static let maximumSize = Option.value(
    "max-message-size", "m", "BYTES", "Accept messages up to this size. Default: 16777216.")
  private static let compress = Option.flag("compress", "z", "Offer message compression (permessage-deflate).")
  private static let verbose = Option.flag("verbose", "v", "Log what happens to the connection to stderr.")

  static let syntax = CommandSyntax(
    name: "connect", operands: "URL", summary: "Connect to a WebSocket server: lines out, messages in.",
    details: """
      Sends each line of stdin as a text message, without its newline, and writes
      each message that arrives to stdout as one line. Control characters in
      messages are escaped, newlines included, so that every message is one line and
      cannot harm the terminal. Backslashes are not escaped.

      When the input ends, a Ping is sent after the last line. Once its Pong and then
      no message has arrived for a while (see --linger), the connection is closed.
      On a terminal, Ctrl-D closes at once.

      Ctrl-C and SIGTERM shut down in order and print the shutdown report; a second
      Ctrl-C exits at once. The exit code is 0 after an orderly end of the
      connection. It is 1 if anything went wrong, and stderr says what.
      """,
    options: [
      header, subprotocol, binary, binaryOutput, raw, linger, keepOpen, timeout, shutdownWithin, maximumSize, compress,
      verbose,
    ])

  @available(*, noasync)
  static func run(_ arguments: Arguments) throws -> ExitCode {
    var settings = ConnectSession.Settings(url: arguments.operands[0])
    settings.shutdownBound = try arguments.seconds(shutdownWithin, atLeast: .zero) ?? .seconds(5)
    settings.sendsBinary = arguments.has(binary)
    settings.showsTextRaw = arguments.has(raw)
    settings.binaryStyle = try arguments.choice(binaryOutput, of: MessagePrinter.BinaryStyle.self) ?? .summary
    settings.isVerbose = arguments.has(verbose)
    if arguments.has(keepOpen) {
      settings.atEndOfInput = .keepOpen
    } else if let linger = try arguments.seconds(linger, atLeast: .zero) {
      settings.atEndOfInput = .closeWhenIdle(for: linger)
    } else {
      settings.atEndOfInput = Terminal.input.isInteractive ? .close : .closeWhenIdle(for: .seconds(1))
    }

    settings.configuration.subprotocols = arguments.all(subprotocol)
    settings.configuration.headers = try arguments.all(header).map { text throws(UsageError) in
      let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2 else { throw UsageError("--header takes 'Name: value', not '\(text)'") }
      return (String(parts[0]), String(parts[1].drop { $0 == " " }))
    }
    if let time = try arguments.seconds(timeout) {
      settings.configuration.resolutionTimeout = time
      settings.configuration.connectTimeout = time
      settings.configuration.handshakeTimeout = time
    }
    if arguments.has(compress) { settings.configuration.compression = WebSocketCompression() }
    if let size = try arguments.number(maximumSize, in: 1...Int(UInt32.max)) {
      settings.configuration.maximumMessageSize = size
    }
    return try ConnectSession(settings).run()
  }
}
