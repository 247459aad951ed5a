internal import Glibc
internal import Sidecar

/// One connection between stdin, stdout and a server.
///
/// Reading stdin and writing stdout block, so each has its own thread, which uses the connection through the blocking
/// API: a slow stdout stops the socket from being read, and a slow server stops stdin from being read. Everything that
/// happens is posted as an event to the thread that calls ``run()``.
///
/// No tasks: the cooperative thread pool gets its threads from Dispatch, which crashes a process that has no descriptor
/// left.
struct ConnectSession: Sendable {
  struct Settings: Sendable {
    var url: String
    var configuration = WebSocketConfiguration()
    var shutdownBound = Duration.seconds(5)
    var sendsBinary = false
    var showsTextRaw = false
    var binaryStyle = MessagePrinter.BinaryStyle.summary
    var atEndOfInput = EndOfInput.close
    var isVerbose = false

    init(url: String) {
      self.url = url
    }
  }

  enum EndOfInput: Sendable {
    case close
    case closeWhenIdle(for: Duration)
    case keepOpen
  }

  private enum Event: Sendable {
    case opened
    case notOpened(WebSocketError)
    /// Nothing more will be sent; `failure` says why, if part of the input was not sent.
    case inputEnded(failure: String?)
    /// The input has ended, and no message has come for a while.
    case idle
    /// Every message that came has been written.
    case outputEnded(OutputEnd)
    case interrupted
  }

  private enum OutputEnd: Sendable {
    /// The connection had an orderly end.
    case orderly
    case failed(WebSocketError)
    /// The reader of stdout has closed it.
    case readerClosed
    case cannotWrite(SystemError)
  }

  /// How long to wait, after a shutdown, for a slow reader of stdout.
  private static let outputGrace = Duration.seconds(1)
  /// How long the sender may take, after the connection has ended, to find that it has lines left to send. Short if
  /// stdin has nothing to read, since the sender then most likely waits for input.
  private static let inputGrace = (empty: Duration.milliseconds(100), waiting: Duration.seconds(10))
  /// How long a peer may leave a Ping unanswered and send nothing else before the connection counts as idle.
  private static let pongTimeout = Duration.seconds(10)

  private let settings: Settings
  private let socket: BlockingWebSocket
  private let receiver = IdleMonitor()
  /// Completed by the sender; the value is the failure, if there was one.
  private let inputEnd = Promise<String?>()
  private let outputEnd = Promise<OutputEnd>()
  private let events = EventQueue<Event>()

  /// Starts to connect.
  ///
  /// - Throws: ``WebSocketError`` if the URL or the configuration is invalid.
  init(_ settings: Settings) throws(WebSocketError) {
    var settings = settings
    if settings.isVerbose {
      settings.configuration.onLog = { event in Terminal.error.write("sidecar: \(Escaping.line("\(event)"))\n") }
    }
    self.settings = settings
    socket = BlockingWebSocket(try WebSocketSidecar(settings.url, configuration: settings.configuration))
  }

  /// Blocks until the connection has ended, or a signal asked for its end.
  @available(*, noasync)
  func run() throws -> ExitCode {
    SignalHandler.onSignal { [events] in events.post(.interrupted) }
    try startThread("connect") { self.connect() }
    var isOpen = false
    while true {
      switch events.next() {
      case .opened:
        isOpen = true
        greet()
        try startThread("stdout") { self.receive() }
        try startThread("stdin") { self.send() }
      case .notOpened(let error):
        socket.shutdown(within: .zero)
        throw explained(error)
      case .inputEnded(nil):
        try inputEnded()
      case .inputEnded(failure: _?), .idle:
        try close()
      case .outputEnded(let end):
        return try finish(end)
      case .interrupted:
        return interrupted(isOpen: isOpen)
      }
    }
  }

  private func greet() {
    guard Terminal.input.isInteractive, Terminal.error.isInteractive else { return }
    let subprotocol = socket.sidecar.subprotocol.map { ", subprotocol \($0)" } ?? ""
    let text = Escaping.line("connected to \(socket.sidecar.remoteAddress ?? settings.url)\(subprotocol)")
    Terminal.error.write(Terminal.error.styled("\(text); Ctrl-D closes", .dim) + "\n")
  }

  // MARK: Threads

  @available(*, noasync)
  private func connect() {
    do {
      // The task runs on the sidecar's own thread.
      try socket.run { sidecar in try await sidecar.connected() }
      events.post(.opened)
    } catch {
      events.post(.notOpened(error as? WebSocketError ?? .cancelled))
    }
  }

  @available(*, noasync)
  private func send() {
    var lines = LineReader(.input)
    var number = 0
    var failure: String?
    do throws(SystemError) {
      try lines.forEachLine { line in
        number += 1
        do throws(WebSocketError) {
          if settings.sendsBinary {
            try socket.send(.binary(line))
          } else if let text = String(validating: line, as: UTF8.self) {
            try socket.send(text)
          } else {
            failure = "line \(number) of the input is not UTF-8; --binary sends any bytes"
          }
        } catch {
          failure = "line \(number) of the input could not be sent: \(explained(error))"
        }
        return failure == nil
      }
    } catch {
      failure = "cannot read the input: \(error.reason)"
    }
    inputEnd.complete(failure)
    events.post(.inputEnded(failure: failure))
  }

  @available(*, noasync)
  private func receive() {
    var printer = MessagePrinter(
      to: .output, showsTextRaw: settings.showsTextRaw, binaryStyle: settings.binaryStyle)
    let end: OutputEnd
    do {
      while let message = try next(&printer) { try printer.show(message) }
      try printer.flush()
      end = .orderly
    } catch let error as SystemError {
      end = error.code == EPIPE ? .readerClosed : .cannotWrite(error)
    } catch {
      let reason = error as? WebSocketError ?? .cancelled
      do throws(SystemError) {
        try printer.flush()
        end = .failed(reason)
      } catch {
        end = .cannotWrite(error)
      }
    }
    receiver.becameIdle()
    outputEnd.complete(end)
    events.post(.outputEnded(end))
  }

  /// Returns the next message, nil at the end; writes what has been printed before it waits.
  @available(*, noasync)
  private func next(_ printer: inout MessagePrinter) throws -> WebSocketMessage? {
    do throws(WebSocketError) {
      return try socket.receive(timeout: .zero)
    } catch {
      guard case .timedOut = error else { throw error }
    }
    try printer.flush()
    receiver.becameIdle()
    let message = try socket.receive()
    receiver.becameBusy()
    return message
  }

  // MARK: The end

  private func inputEnded() throws(SystemError) {
    switch settings.atEndOfInput {
    case .keepOpen: break
    case .close: try close()
    case .closeWhenIdle(let linger):
      try startThread("linger") {
        waitForPeer()
        receiver.waitUntilIdle(for: linger)
        events.post(.idle)
      }
    }
  }

  /// Blocks until the peer has read everything that was sent, which it shows by answering a Ping that was sent last.
  @available(*, noasync)
  private func waitForPeer() {
    while true {
      do throws(WebSocketError) {
        try socket.ping(timeout: ConnectSession.pongTimeout)
        return
      } catch {
        // The receiver reports the end of the connection. A slow peer gets more time as long as messages come.
        guard case .timedOut = error, !receiver.isIdle(for: ConnectSession.pongTimeout) else { return }
      }
    }
  }

  private func close() throws(SystemError) {
    // On its own thread, so that Ctrl-C is heard meanwhile. The receiver reports how the connection ended.
    try startThread("close") { _ = try? socket.close(timeout: settings.shutdownBound) }
  }

  @available(*, noasync)
  private func finish(_ end: OutputEnd) throws -> ExitCode {
    let report = socket.shutdown(within: settings.shutdownBound)
    switch end {
    case .failed(let error): throw explained(error)
    case .cannotWrite(let error): throw CommandError("cannot write the output: \(error.reason)")
    case .readerClosed: return .success
    case .orderly:
      // The peer may have closed while lines were left to send. Sending them fails now; if there are none, the sender
      // waits for input, and nothing is lost.
      let grace =
        Terminal.input.isInteractive
        ? .zero : Terminal.input.canBeRead ? ConnectSession.inputGrace.waiting : ConnectSession.inputGrace.empty
      if let failure = inputEnd.wait(until: .after(grace)) ?? nil { throw CommandError(failure) }
      if Terminal.input.isInteractive, let status = report.closeStatus {
        Terminal.error.write(Terminal.error.styled(Escaping.line("\(status)"), .dim) + "\n")
      }
      return .success
    }
  }

  /// Returns `error` in words that fit a command with one connection; a refusal includes the server's first line of
  /// text.
  private func explained(_ error: WebSocketError) -> any Error {
    switch error {
    case .closed(let status?):
      return CommandError("\(status)")
    case .handshakeRefused(let refusal):
      let body = String(decoding: refusal.body, as: UTF8.self).split(whereSeparator: \.isNewline).first ?? ""
      return body.isEmpty ? error : CommandError("\(error); it says: \(body)")
    default:
      return error
    }
  }

  @available(*, noasync)
  private func interrupted(isOpen: Bool) -> ExitCode {
    let report = socket.shutdown(within: settings.shutdownBound)
    if isOpen { _ = outputEnd.wait(until: .after(ConnectSession.outputGrace)) }
    let text = "\(report)".split(separator: "\n").map { Escaping.line(String($0)) + "\n" }.joined()
    Terminal.error.write(text)
    return report.isClean ? .success : .failure
  }
}
