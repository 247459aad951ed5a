internal import SidecarProtocol

extension TestServer {
  /// Everything that a server has seen of one connection.
  struct ConnectionLog: Sendable {
    private(set) var request: Request?
    private(set) var requestViolation: String?
    private(set) var isOpen = false
    private(set) var messages: [WebSocketMessage] = []
    private(set) var messageCount = 0
    private(set) var pings: [[UInt8]] = []
    private(set) var pongs: [[UInt8]] = []
    private(set) var frames: [ReceivedFrame] = []
    private(set) var close: ReceivedClose?
    private(set) var violation: String?
    private(set) var rawInput: [[UInt8]] = []
    private(set) var bytesAfterClose: [UInt8] = []
    private(set) var bytesReceived = 0
    var bytesSent = 0
    var sendingIsBlocked = false
    private(set) var script = ScriptProgress.running
    /// The scripts that the connection was given, its behavior's included.
    private var scriptsGiven = 1
    private(set) var ending: Ending?
    /// True once the descriptor is closed. Nothing changes any more.
    private(set) var isOver = false
    /// True if something was not kept, for lack of room.
    private(set) var isTruncated = false
    /// The bytes that may still be kept.
    private var remainingBytes: Int

    /// Charged for each piece beside its bytes.
    private static let overhead = 64

    /// Makes an empty log.
    ///
    /// - Parameter capacity: The most bytes that are kept; see ``TestServer/Options/recordedBytes``.
    init(capacity: Int) {
      remainingBytes = capacity
    }

    /// Records that the connection is given another script.
    ///
    /// - Returns: False if the connection is over and cannot take it.
    mutating func recordNewScript() -> Bool {
      if isOver { return false }
      script = .running
      scriptsGiven += 1
      return true
    }

    mutating func record(_ entry: LogEntry) {
      switch entry {
      case .request(let request): self.request = request
      case .requestViolation(let violation): requestViolation = violation
      case .opened: isOpen = true
      case .message(let message):
        messageCount += 1
        if reserve(message.byteCount) { messages.append(message) }
      case .ping(let payload): if reserve(payload.count) { pings.append(payload) }
      case .pong(let payload): if reserve(payload.count) { pongs.append(payload) }
      case .frame(let frame): if reserve(0) { frames.append(frame) }
      case .close(let close): self.close = close
      case .violation(let violation): self.violation = violation
      case .rawInput(let bytes): if reserve(bytes.count) { rawInput.append(bytes) }
      case .bytesAfterClose(let bytes): if reserve(bytes.count) { bytesAfterClose += bytes }
      case .bytesReceived(let count): bytesReceived += count
      case .script(let status, let taken): script = taken == scriptsGiven ? status : .running
      // The client's end of the stream counts, even if the server closes the socket later.
      case .ending(let stream, let isClean):
        ending = ending ?? Ending(stream: stream, close: close, isClean: isClean)
      case .over:
        isOver = true
        if script == .running { script = .cutShort(at: "a script that came too late") }
      }
    }

    /// Reserves room for a piece.
    ///
    /// - Returns: Whether there is room. After the first piece that does not fit, nothing more is kept.
    private mutating func reserve(_ byteCount: Int) -> Bool {
      guard remainingBytes >= byteCount + Self.overhead else {
        remainingBytes = 0
        isTruncated = true
        return false
      }
      remainingBytes -= byteCount + Self.overhead
      return true
    }
  }
}
