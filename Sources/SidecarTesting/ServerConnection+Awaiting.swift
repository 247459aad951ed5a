internal import SidecarExecutor
internal import SidecarProtocol

/// What a connection's script waits for.
struct PendingWait {
  enum Event {
    /// The system has taken everything that was to be written.
    case written
    case received(TestServer.WaitCondition)
    /// The timer of a wait, or the gate; or for ever.
    case resumption
  }

  let event: Event
  let step: String
}

/// What a script has not taken yet.
struct ReceiveBacklog {
  /// What each message is charged beside its own bytes.
  private static let overhead = 64

  private var messages: [WebSocketMessage] = []
  private var head = 0
  private(set) var byteCount = 0
  var pings = 0
  var pongs = 0
  var closes = 0

  mutating func append(_ message: WebSocketMessage) {
    messages.append(message)
    byteCount += message.byteCount + Self.overhead
  }

  mutating func takeMessage() -> WebSocketMessage? {
    guard head < messages.count else { return nil }
    let message = messages[head]
    head += 1
    byteCount -= message.byteCount + Self.overhead
    if head == messages.count {
      messages.removeAll(keepingCapacity: true)
      head = 0
    }
    return message
  }
}

/// Whether what a script waits for has come, has not come yet, or can't come any more.
extension ServerConnection {
  enum WaitOutcome { case came, notYet, cannotCome }

  /// Whether what the script waits for has come, and takes it if it has.
  func outcome(of awaiting: PendingWait) -> WaitOutcome {
    switch awaiting.event {
    case .written:
      // What is held back, or gathered, is written later.
      return corkDepth > 0 || unsent.isEmpty && mustEndWriting == hasEndedWriting ? .came : .notYet
    case .resumption: return .notYet
    case .received(let awaited): return outcome(of: awaited)
    }
  }

  /// Whether the client may still say something.
  private var canConverse: Bool { receivedClose == nil && violation == nil && !inputHasEnded }

  private func outcome(of awaited: TestServer.WaitCondition) -> WaitOutcome {
    switch awaited {
    case .request: return parseRequest()
    case .bytes(let count): return takeRaw(unparsed.count >= count ? count : nil)
    case .bytesThrough(let end): return takeRaw(unparsed.endOfFirst(end))
    case .message: return receiveBacklog.takeMessage() != nil ? .came : outcomeWithout()
    case .messageAndAnswer(let answer):
      guard let message = receiveBacklog.takeMessage() else { return outcomeWithout() }
      for message in answer(message) { write(message) }
      return .came
    case .ping: return take(&receiveBacklog.pings)
    case .pong: return take(&receiveBacklog.pongs)
    case .close: return take(&receiveBacklog.closes)
    case .endOfStream: return inputHasEnded ? .came : .notYet
    }
  }

  private func take(_ count: inout Int) -> WaitOutcome {
    guard count > 0 else { return outcomeWithout() }
    count -= 1
    return .came
  }

  /// What becomes of a wait for a frame that is not there.
  private func outcomeWithout() -> WaitOutcome { canConverse ? .notYet : .cannotCome }

  private func takeRaw(_ count: Int?) -> WaitOutcome {
    guard let count else { return canConverse && !isOpen ? .notYet : .cannotCome }
    see(.rawInput(Array(unparsed[..<count])))
    unparsed.removeFirst(count)
    return .came
  }

  /// Reads the opening request from what has come (RFC 6455 §4.2.1).
  private func parseRequest() -> WaitOutcome {
    if request != nil { return .came }
    if requestViolation != nil { return .cannotCome }
    var bytes = unparsed
    unparsed = bytes.withUnsafeMutableBytes { bytes in
      guard var input = ReadCursor(bytes) else { return [] }
      if let event = protocolState.receive(&input, into: &sink) { handle(event) }
      return Array(input.remaining)
    }
    if request != nil { return .came }
    return requestViolation != nil || inputHasEnded ? .cannotCome : .notYet
  }
}

extension [UInt8] {
  /// The position behind the first occurrence of `part`.
  func endOfFirst(_ part: [UInt8]) -> Int? {
    guard count >= part.count else { return nil }
    return (0...(count - part.count)).first { self[$0...].starts(with: part) }.map { $0 + part.count }
  }
}
