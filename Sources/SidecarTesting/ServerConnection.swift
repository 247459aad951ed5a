internal import SidecarExecutor
internal import SidecarTransport
internal import SidecarProtocol

/// One accepted connection: the protocol's core in the server's role, on a socket, led by a script.
///
/// Bound to the server's thread, where the loop calls it. Everything that happens to it goes through ``pump()``: what has
/// been seen is published, what is to be written is written, and the script makes its moves, as far as it can now.
final class ServerConnection {
  enum Phase {
    /// The opening request has not been answered with 101.
    case opening
    case open
    /// Nothing more is sent, and what arrives does not count: the end of the stream is awaited (RFC 6455 §7.1.1).
    case finishing
    case ended
  }

  /// How many times the read buffer is filled before other connections have their turn.
  static let readsPerTurn = 4
  /// How much is written before other connections have their turn.
  static let writtenPerTurn = 1 << 20
  /// How many moves a script makes before other connections have their turn.
  static let movesPerTurn = 256
  /// With so much to be sent, or to be parsed, no more is read.
  static let highWatermark = 256 * 1024

  let index: Int
  let loop: EventLoop
  let options: TestServer.Options
  let observed: TestServer.Connection
  /// Tells the connection from any thread that what it waited for has come; see ``resumeScript(_:)``.
  let resume: @Sendable (UInt64) -> Void
  private let onEnd: () -> Void

  var phase = Phase.opening
  var wasOpen = false
  let socket: StreamSocket
  var registration: EventLoop.Registration?
  private var isPumping = false
  private var continuation: TimerID?
  var finishTimer: TimerID?

  // Reading: see ServerConnection+Reading.
  let limits: ProtocolLimits
  var protocolState: WebSocketConnection
  var sink = ServerSink()
  var tracker = FrameTracker()
  /// What came before the connection was open, as far as the script has not taken it.
  var unparsed: [UInt8] = []
  var request: TestServer.Request?
  var requestViolation: HandshakeViolation?
  var inputHasEnded = false
  var sawPeerEnd = false
  var isReading = true

  // Writing: see ServerConnection+Writing.
  var unsent = ByteBuffer()
  var stream: TestServer.RepeatedFrame?
  /// How many groups are open whose output is held back.
  var corkDepth = 0
  /// How many groups are open in which nothing is done.
  var stalls = 0
  var pacing: [(chunk: Int, interval: Duration)] = []
  var pacingTimer: TimerID?
  var hasEndedWriting = false
  var mustEndWriting = false
  var isBlocked = false
  var bytesSent = 0

  // Compression: see ServerConnection+Compression.
  var agreement: PermessageDeflate.Agreement?
  var deflater: Deflater?
  /// The client's window holds what the compressor has not seen.
  var contextIsStale = false

  // The conversation: see ServerConnection+Conversation.
  var receivedClose: TestServer.ReceivedClose?
  var violation: ProtocolViolation?
  var hasSentClose = false
  var continuationKind = TestServer.Continuation.Kind.discard
  var answersPings = true

  // The script: see ServerConnection+Script.
  var cursor: TestServer.ScriptCursor
  var scriptsTaken = 1
  var scriptIsRunning = true
  var awaiting: PendingWait?
  var waitID: UInt64 = 0
  var waitTimer: TimerID?
  var receiveBacklog = ReceiveBacklog()

  /// What has been seen since it was published last.
  var logEntries: [LogEntry] = []
  /// What was published last of what changes with every write.
  var published = (bytesSent: 0, isBlocked: false)

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
    limits = ProtocolLimits(maximumMessageSize: options.maximumMessageSize)
    protocolState = WebSocketConnection(acceptingWith: limits)
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

  var isOpen: Bool {
    if case .open = phase { true } else { false }
  }

  /// Does all that can be done now. Called at the end of everything that comes from outside.
  func pump() {
    guard !isPumping, !hasEnded else { return }
    isPumping = true
    defer { isPumping = false }
    var budget = ServerConnection.movesPerTurn
    repeat {
      // Before anything is answered: who has the answer can see what led to it.
      publish()
      flush()
      if hasEnded { return }
      if budget == 0 {
        continueSoon()
        break
      }
      budget -= 1
    } while advanceScript() && !hasEnded
    guard !hasEnded else { return }
    publish()
    updateInterest()
  }

  /// Has another turn when the other connections have had theirs.
  func continueSoon() {
    guard continuation == nil else { return }
    continuation = loop.schedule(at: .after(.zero)) { [weak self] in
      self?.continuation = nil
      self?.pump()
    }
  }

  /// Ends the stream as a server should (RFC 6455 §7.1.1): sends what there is to send and the end of our half, and
  /// waits a while for the client to end the other.
  func finish() {
    switch phase {
    case .finishing, .ended: return
    case .opening, .open: break
    }
    phase = .finishing
    mustEndWriting = true
    isReading = true
    stopScript(at: nil)
    finishTimer = loop.schedule(at: .after(options.endOfStreamGrace)) { [weak self] in
      self?.end(.closedByServer)
    }
  }

  /// Closes the socket, and tells that the connection is over.
  func end(_ how: TestServer.Ending.Stream) {
    guard !hasEnded else { return }
    phase = .ended
    for timer in [continuation, finishTimer, pacingTimer] { loop.cancel(timer) }
    stopScript(at: nil)
    if let registration { loop.deregister(registration) }
    registration = nil
    socket.close()
    // Announced last: by now the descriptor is given back.
    seeEnding(how)
    see(.over)
    publish()
    onEnd()
  }
}
