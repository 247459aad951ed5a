internal import Glibc
internal import Sidecar

/// One connection between stdin, stdout and a server.
///
/// Reading stdin and writing stdout block, so each has a thread of its own, which uses the connection through the
/// blocking facade: if stdout is slow the socket is not read, if the server is slow stdin is not. What happens on them,
/// and to the process, arrives here as events, one after the other.
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
    case closeWhenQuiet(for: Duration)
    case keepOpen
  }

  private enum Event: Sendable {
    case opened
    case notOpened(WebSocketError)
    /// Nothing more is sent; holds the reason, if there is more to be sent.
    case inputEnded(failure: String?)
    /// The input has ended, and nothing comes any more.
    case quiet
    /// Everything that came has been written.
    case outputEnded(OutputEnd)
    case interrupted
  }

  private enum OutputEnd: Sendable {
    /// The connection ended in order.
    case orderly
    case failed(WebSocketError)
    /// Nobody reads stdout any more.
    case nobodyReads
    case cannotWrite(SystemError)
  }

  /// How long after a shutdown a slow reader of stdout is waited for.
  private static let outputGrace = Duration.seconds(1)
  /// How long the sender has, when the connection has ended, to find out whether it has something to send: little if there
  /// is nothing to read, since then it most likely waits for input.
  private static let inputGrace = (empty: Duration.milliseconds(100), waiting: Duration.seconds(10))
  /// How long a peer may leave a Ping unanswered and send nothing else, before the connection counts as quiet.
  private static let pongPatience = Duration.seconds(10)

  private let settings: Settings
  private let sidecar: WebSocketSidecar
  private let watch = IdleMonitor()
  /// Completed by the sender, with what is wrong if anything is.
  private let inputEnd = Promise<String?>()
  private let outputEnd = Promise<OutputEnd>()
  private let events: AsyncStream<Event>
  private let post: AsyncStream<Event>.Continuation

  /// Begins to connect. Throws what is wrong with the settings.
  init(_ settings: Settings) throws(WebSocketError) {
    var settings = settings
    if settings.isVerbose {
      settings.configuration.onLog = { event in Terminal.error.write("sidecar: \(Escaping.line("\(event)"))\n") }
    }
    self.settings = settings
    (events, post) = AsyncStream.makeStream()
    sidecar = try WebSocketSidecar(settings.url, configuration: settings.configuration)
  }

  /// Runs until the connection ends, or somebody wants it to.
  func run() async throws -> ExitCode {
    SignalHandler.onSignal { [post] in post.yield(.interrupted) }
    Task { [sidecar, post] in
      do throws(WebSocketError) {
        try await sidecar.connected()
        post.yield(.opened)
      } catch {
        post.yield(.notOpened(error))
      }
    }
    var isOpen = false
    for await event in events {
      switch event {
      case .opened:
        isOpen = true
        greet()
        try startThread("stdout") { self.receive() }
        try startThread("stdin") { self.send() }
      case .notOpened(let error):
        await sidecar.shutdown(within: .zero)
        throw explained(error)
      case .inputEnded(nil):
        inputEnded()
      case .inputEnded(failure: _?), .quiet:
        close()
      case .outputEnded(let end):
        return try await finish(end)
      case .interrupted:
        return await interrupted(isOpen: isOpen)
      }
    }
    return .success
  }

  private func greet() {
    guard Terminal.input.isInteractive, Terminal.error.isInteractive else { return }
    let subprotocol = sidecar.subprotocol.map { ", subprotocol \($0)" } ?? ""
    let text = Escaping.line("connected to \(sidecar.remoteAddress ?? settings.url)\(subprotocol)")
    Terminal.error.write(Terminal.error.styled("\(text); Ctrl-D closes", .dim) + "\n")
  }

  // MARK: The two threads

  private func send() {
    let socket = BlockingWebSocket(sidecar)
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
    post.yield(.inputEnded(failure: failure))
  }

  private func receive() {
    let socket = BlockingWebSocket(sidecar)
    var printer = MessagePrinter(
      to: .output, showsTextRaw: settings.showsTextRaw, binaryStyle: settings.binaryStyle)
    let end: OutputEnd
    do {
      while let message = try next(from: socket, &printer) { try printer.show(message) }
      try printer.flush()
      end = .orderly
    } catch let error as SystemError {
      end = error.code == EPIPE ? .nobodyReads : .cannotWrite(error)
    } catch {
      let reason = error as? WebSocketError ?? .cancelled
      do throws(SystemError) {
        try printer.flush()
        end = .failed(reason)
      } catch {
        end = .cannotWrite(error)
      }
    }
    watch.becameIdle()
    outputEnd.complete(end)
    post.yield(.outputEnded(end))
  }

  /// The next message; what has been printed so far is written before it is waited for.
  private func next(from socket: BlockingWebSocket, _ printer: inout MessagePrinter) throws -> WebSocketMessage? {
    do throws(WebSocketError) {
      return try socket.receive(timeout: .zero)
    } catch {
      guard case .timedOut = error else { throw error }
    }
    try printer.flush()
    watch.becameIdle()
    let message = try socket.receive()
    watch.becameBusy()
    return message
  }

  // MARK: The end

  private func inputEnded() {
    switch settings.atEndOfInput {
    case .keepOpen: break
    case .close: close()
    case .closeWhenQuiet(let linger):
      Task { [self] in
        await peerHasCaughtUp()
        do {
          try await watch.quiet(for: linger, after: .now)
          post.yield(.quiet)
        } catch {}
      }
    }
  }

  /// Waits until the peer has read everything that was sent: until it answers a Ping that was sent last.
  private func peerHasCaughtUp() async {
    while true {
      do throws(WebSocketError) {
        try await sidecar.ping(timeout: ConnectSession.pongPatience)
        return
      } catch {
        // The end of the connection is told elsewhere. A slow peer still gets its time, as long as anything comes.
        guard case .timedOut = error, !watch.isQuiet(for: ConnectSession.pongPatience) else { return }
      }
    }
  }

  private func close() {
    Task { [sidecar, settings] in
      do throws(WebSocketError) { try await sidecar.close(timeout: settings.shutdownBound) } catch {}
    }
  }

  private func finish(_ end: OutputEnd) async throws -> ExitCode {
    let report = await sidecar.shutdown(within: settings.shutdownBound)
    switch end {
    case .failed(let error): throw explained(error)
    case .cannotWrite(let error): throw CommandError("cannot write the output: \(error.reason)")
    case .nobodyReads: return .success
    case .orderly:
      // The peer may have closed in order, with lines left that nobody will hear of. In that case sending them fails now;
      // otherwise the sender is waiting for input, and nothing is lost.
      let grace =
        Terminal.input.isInteractive
        ? .zero : Terminal.input.canBeRead ? ConnectSession.inputGrace.waiting : ConnectSession.inputGrace.empty
      if case .value(let failure?) = await inputEnd.value(until: .after(grace)) { throw CommandError(failure) }
      if Terminal.input.isInteractive, let status = report.closeStatus {
        Terminal.error.write(Terminal.error.styled(Escaping.line("\(status)"), .dim) + "\n")
      }
      return .success
    }
  }

  /// The error in the words of somebody who knows of one connection only, and with what the server had to say.
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

  private func interrupted(isOpen: Bool) async -> ExitCode {
    let report = await sidecar.shutdown(within: settings.shutdownBound)
    if isOpen { _ = await outputEnd.value(until: .after(ConnectSession.outputGrace)) }
    let text = "\(report)".split(separator: "\n").map { Escaping.line(String($0)) + "\n" }.joined()
    Terminal.error.write(text)
    return report.isClean ? .success : .failure
  }
}
