internal import SidecarExecutor
internal import SidecarTransport
internal import SidecarProtocol

/// Serves one accepted connection: a `WebSocketConnection` in the server's role, a socket, and a script.
///
/// Bound to the server's thread, where the loop calls it. Every call from outside ends in ``pump()``, which publishes
/// the log, writes, and advances the script as far as possible. Whether the connection is open, and how the closing
/// handshake stands, is asked of `protocolState` and not stored here.
final class ServerConnection {
  enum Phase {
    /// Requests, frames and script steps are handled.
    case serving
    /// Nothing more is sent, input is discarded, and the client's end of the stream is awaited until the timer fires
    /// (RFC 6455 §7.1.1).
    case finishing(TimerID?)
    case ended
  }

  /// The server's half of the stream.
  enum WriteSide {
    case open
    /// FIN follows as soon as everything is written. Nothing can be added.
    case ending
    /// FIN is sent.
    case ended
  }

  /// The client's half of the stream.
  enum ReadSide {
    case open
    /// The poller has reported FIN while reading was paused. Bytes before it may be unread.
    case peerEnded
    /// The end of the stream has been read.
    case ended
  }

  /// What script steps change for the rest of the connection.
  struct Settings {
    var reads = true
    var answersPings = true
    var fallback = TestServer.FallbackBehavior.Kind.discard
  }

  /// What the system has taken, as it is published after each write.
  struct SendProgress: Equatable {
    var bytesSent = 0
    var isBlocked = false
  }

  /// Reads into the read buffer before other connections get their turn.
  static let readsPerTurn = 4
  /// Bytes written before other connections get their turn.
  static let bytesWrittenPerTurn = 1 << 20
  /// Script moves before other connections get their turn.
  static let movesPerTurn = 256
  /// Bytes unsent, or not yet parsed, from which on reading pauses.
  static let highWatermark = 256 * 1024

  let index: Int
  let loop: EventLoop
  let options: TestServer.Options
  let observed: TestServer.Connection
  /// Resumes the wait with this number, from any thread; see ``resumeScript(_:)``.
  let resume: @Sendable (UInt64) -> Void
  private let onEnd: () -> Void

  let socket: StreamSocket
  var registration: EventLoop.Registration?
  var phase = Phase.serving
  var protocolState: WebSocketConnection
  private var isPumping = false
  private var nextTurn: TimerID?

  // Reading: see ServerConnection+Reading.
  var readSide = ReadSide.open
  var sink = ServerSink()
  var tracker = FrameTracker()
  /// Input before the connection is open that the script has not taken.
  var unparsed: [UInt8] = []
  var request: TestServer.Request?

  // Writing: see ServerConnection+Writing.
  var writeSide = WriteSide.open
  var unsent = ByteBuffer()
  var repeatedFrame: TestServer.RepeatedFrame?
  var compressor = ServerCompressor()
  var pacingTimer: TimerID?
  var progress = SendProgress()

  // The script: see ServerConnection+Script.
  var script = ScriptPhase.running
  var cursor: TestServer.ScriptCursor
  var groups = OpenGroups()
  var settings = Settings()
  var backlog = ReceiveBacklog()
  var scriptsTaken = 1
  var lastWaitID: UInt64 = 0

  // The log: see ServerConnection+Logging.
  var logEntries: [LogEntry] = []
  var publishedProgress = SendProgress()

  init(
    index: Int, socket: StreamSocket, behavior: TestServer.Behavior, loop: EventLoop, options: TestServer.Options,
    observed: TestServer.Connection, resume: @escaping @Sendable (UInt64) -> Void, onEnd: @escaping () -> Void
  ) {
    self.index = index
    self.socket = socket
    self.loop = loop
    self.options = options
    self.observed = observed
    self.resume = resume
    self.onEnd = onEnd
    cursor = TestServer.ScriptCursor(behavior.steps)
    protocolState = WebSocketConnection(
      acceptingWith: ProtocolLimits(maximumMessageSize: options.maximumMessageSize))
  }

  /// Begins to serve the connection.
  func start() {
    do throws(SystemError) {
      registration = try loop.register(socket.descriptor, interest: .readable, handler: self)
    } catch {
      return end(.closedByServer)
    }
    pump()
  }

  var hasEnded: Bool {
    if case .ended = phase { true } else { false }
  }

  var isFinishing: Bool {
    if case .finishing = phase { true } else { false }
  }

  /// Does everything that can be done now. Called at the end of every call from outside.
  func pump() {
    guard !isPumping, !hasEnded else { return }
    isPumping = true
    defer { isPumping = false }
    var budget = ServerConnection.movesPerTurn
    repeat {
      // Published before it is answered: a client that has the answer can rely on the log.
      publish()
      flush()
      if hasEnded { return }
      if budget == 0 {
        scheduleTurn()
        break
      }
      budget -= 1
    } while advanceScript() && !hasEnded
    guard !hasEnded else { return }
    publish()
    updateInterest()
  }

  /// Pumps again after the other connections had their turn.
  func scheduleTurn() {
    guard nextTurn == nil else { return }
    nextTurn = loop.schedule(at: .after(.zero)) { [weak self] in
      self?.nextTurn = nil
      self?.pump()
    }
  }

  /// Ends the stream as a server should (RFC 6455 §7.1.1): sends what is queued and FIN, and waits for the client's FIN
  /// for at most ``TestServer/Options/endOfStreamGrace``.
  func finish() {
    guard case .serving = phase else { return }
    let timer = loop.schedule(at: .after(options.endOfStreamGrace)) { [weak self] in
      self?.end(.closedByServer)
    }
    phase = .finishing(timer)
    endWriteSide()
    settings.reads = true
    stopScript(at: nil)
  }

  /// Closes the socket and publishes how the connection ended.
  func end(_ stream: TestServer.Ending.Stream) {
    guard !hasEnded else { return }
    if case .finishing(let timer) = phase { loop.cancel(timer) }
    phase = .ended
    for timer in [nextTurn, pacingTimer] { loop.cancel(timer) }
    stopScript(at: nil)
    if let registration { loop.deregister(registration) }
    registration = nil
    socket.close()
    // Published last: the descriptor is closed by now.
    recordEnding(stream)
    record(.over)
    publish()
    onEnd()
  }
}
