// The whole protocol of one connection, without I/O: bytes in, events and actions out.
//
//   state       input                  what it decides
//   ──────────  ─────────────────────  ───────────────────────────────────────────────────────────────────────────
//   connecting  the response (client)  opened, or the handshake failed (RFC 6455 §4.1)
//   accepting   the request (server)   a request to answer, or the handshake failed (§4.2.1)
//   open        frames                 messages, Pings to answer (§5.5.2), violations (§7.1.7), Close (§5.5.1)
//   ended       nothing                how the connection ended (§7.1.4 to §7.1.6)
//
// The closing handshake is a state machine of its own, in the payload of `open`: see `ClosingHandshake`. After a
// violation the receiver discards all input, so no path can act on what follows.

/// Runs the protocol of one connection, for either role: the handshake, frames and messages, Pings, violations and
/// closing.
///
/// The owner passes in what it reads and what happens to the stream, carries out the actions, and frames what is
/// sent. This type alone decides which Close frame is sent, how the connection ended, and who began it. It has no
/// clock: the owner keeps the time and says when something was given up.
@usableFromInline
package struct WebSocketConnection: ~Copyable {
  /// Something that the owner must act on.
  ///
  /// Indirect: otherwise every return value would be as large as the largest event.
  @usableFromInline
  package indirect enum Event {
    /// The handshake is complete (client).
    case opened(OpeningResponse)

    /// A valid request arrived (server): write a response, and call ``accept(deflate:)`` if it is a 101.
    case requested(ReceivedOpeningRequest)

    /// The opening handshake failed: ``settledEnd`` says why. Nothing more is received.
    case handshakeFailed

    /// A Ping arrived; `answer` says whether to send a Pong with its payload.
    case ping(WebSocketPayload, answer: Bool)

    /// A Pong arrived, asked for or not.
    case pong(WebSocketPayload)

    /// The peer's Close frame arrived; `action` is to be carried out.
    case close(ClosePayload, action: ClosingHandshake.Action)

    /// The peer broke the protocol or a limit; `action` is to be carried out.
    case violation(ProtocolViolation, action: ClosingHandshake.Action)

    /// The sink is full, or the budget is used up: pass the rest of the input in again later.
    case pause
  }

  // Large payloads are indirect, because reading the state copies it.
  private enum State {
    indirect case connecting(OpeningResponseParser)
    indirect case accepting(OpeningRequestParser)
    case open(ClosingHandshake)
    indirect case ended(ConnectionEnd)
  }

  package let role: Role

  /// What is answered without being asked. Default: everything, as the protocol demands. A scripted server answers
  /// less.
  package var automaticReplies = AutomaticReplies.all

  /// Kinds of automatic replies.
  package struct AutomaticReplies: OptionSet, Sendable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) {
      self.rawValue = rawValue
    }

    /// Pongs (RFC 6455 §5.5.2).
    package static let pongs = AutomaticReplies(rawValue: 1)

    /// Answers to Close frames (§5.5.1) and violations (§7.1.7). An action that is held back can be taken later: see
    /// ``WebSocketConnection/takeWithheldAction()``.
    package static let closing = AutomaticReplies(rawValue: 2)

    package static let all: AutomaticReplies = [.pongs, .closing]
  }

  private var state: State
  private let limits: ProtocolLimits
  private var receiver: MessageReceiver

  /// The action that was held back because ``automaticReplies`` excludes it.
  private var withheld = ClosingHandshake.Action.none

  /// Makes a client's connection, whose `request` is about to be written.
  package init(request: OpeningRequest, limits: ProtocolLimits) {
    role = .client
    self.limits = limits
    state = .connecting(OpeningResponseParser(request: request))
    receiver = MessageReceiver(role: .client, limits: limits)
  }

  /// Makes a server's connection, which awaits a request.
  package init(acceptingWith limits: ProtocolLimits) {
    role = .server
    self.limits = limits
    state = .accepting(OpeningRequestParser())
    receiver = MessageReceiver(role: .server, limits: limits)
  }

  // MARK: State

  /// True from the end of the opening handshake to the end of the connection.
  @usableFromInline package var isOpen: Bool {
    if case .open = state { true } else { false }
  }

  /// True while messages may be sent (RFC 6455 §5.5.1). Also true while our Close frame is held back.
  package var canSend: Bool {
    if case .open(let closing) = state { closing.canSend || withheld.close != nil } else { false }
  }

  /// True while messages are delivered.
  package var canReceive: Bool {
    if case .open(let closing) = state { closing.canReceive } else { false }
  }

  /// How the connection ends, once nothing can change it any more. The stream may still be open then. Not settled while
  /// our Close frame is held back.
  package var settledEnd: ConnectionEnd? {
    switch state {
    case .connecting, .accepting: nil
    case .open(let closing): withheld.close == nil ? closing.settledEnd : nil
    case .ended(let end): end
    }
  }

  // MARK: Opening

  /// Opens a server's connection: a 101 has been written, with what was agreed on about compression (RFC 7692).
  package mutating func accept(deflate: PermessageDeflate.Agreement? = nil) {
    guard case .accepting = state else { return }
    open(deflate)
  }

  private mutating func open(_ deflate: PermessageDeflate.Agreement?) {
    state = .open(ClosingHandshake(role: role))
    guard let deflate else { return }
    // Frames may follow in the same read, which has its budget already.
    let budget = inflateBudget
    receiver = MessageReceiver(role: role, limits: limits, deflate: deflate)
    inflateBudget = budget
  }

  // MARK: Receiving

  /// How many more bytes may come out of compressed messages before ``Event/pause``; see `MessageReceiver`.
  package var inflateBudget: Int {
    get { receiver.inflateBudget }
    set { receiver.inflateBudget = newValue }
  }

  /// Consumes input, and hands messages to `sink`.
  ///
  /// - Returns: An event to act on before this is called again for the rest of the input; nil when all of it is
  ///   consumed.
  @inlinable
  package mutating func receive<Sink: MessageSink & ~Copyable>(
    _ input: inout ReadCursor, into sink: inout Sink
  ) -> Event? {
    guard checkIsOpen() else { return receiveHandshake(&input) }
    return withReceiver { $0.receive(&input, into: &sink) }
  }

  /// Returns ``isOpen``. Mutating, because other modules would copy the whole connection for the property: 400 bytes.
  @usableFromInline
  mutating func checkIsOpen() -> Bool { isOpen }

  /// Lets code specialised for a sink in another module use the receiver. (Swift 6.3 crashes on a stored property that
  /// such code could see.)
  @usableFromInline
  mutating func withReceiver(_ body: (inout MessageReceiver) -> ReceiveInterruption?) -> Event? {
    body(&receiver).map { event($0) }
  }

  @usableFromInline
  mutating func receiveHandshake(_ input: inout ReadCursor) -> Event? {
    switch state {
    case .connecting(var parser):
      // Moved out and back: a copy would copy the partial line at each read, and a head that comes byte by byte would
      // cost the square of its size. Meanwhile the state is a placeholder, which nothing reads.
      state = .ended(.abandoned)
      return receiveResponse(&input, &parser)
    case .accepting(var parser):
      state = .ended(.abandoned)
      return receiveRequest(&input, &parser)
    case .open, .ended:
      input.skipAll()
      return nil
    }
  }

  /// Returns memory for the socket to be read into, or nil unless `minimum` bytes of a large message are to come; see
  /// `MessageReceiver`.
  package mutating func directReadTarget(minimum: Int) -> UnsafeMutableRawBufferPointer? {
    guard case .open = state else { return nil }
    return receiver.directReadTarget(minimum: minimum)
  }

  /// Takes `count` bytes that were read into the memory of ``directReadTarget(minimum:)``.
  @inlinable
  package mutating func didReadDirectly<Sink: MessageSink & ~Copyable>(count: Int, into sink: inout Sink) -> Event? {
    withReceiver { $0.didReadDirectly(count: count, into: &sink) }
  }

  private mutating func receiveResponse(_ input: inout ReadCursor, _ parser: inout OpeningResponseParser) -> Event? {
    do throws(HandshakeViolation) {
      let (consumed, response) = try parser.receive(input.bytes)
      input.skip(consumed)
      guard let response else {
        state = .connecting(parser)
        return nil
      }
      open(response.deflate)
      return .opened(response)
    } catch {
      return handshakeFailed(error, &input)
    }
  }

  private mutating func receiveRequest(_ input: inout ReadCursor, _ parser: inout OpeningRequestParser) -> Event? {
    do throws(HandshakeViolation) {
      let (consumed, request) = try parser.receive(input.bytes)
      input.skip(consumed)
      state = .accepting(parser)
      return request.map { .requested($0) }
    } catch {
      return handshakeFailed(error, &input)
    }
  }

  private mutating func handshakeFailed(_ violation: HandshakeViolation, _ input: inout ReadCursor) -> Event {
    input.skipAll()
    state = .ended(Self.failedHandshake(violation))
    return .handshakeFailed
  }

  private mutating func event(_ interruption: ReceiveInterruption) -> Event {
    switch interruption {
    case .pause: .pause
    case .pong(let bytes): .pong(WebSocketPayload(copying: bytes))
    // RFC 6455 §5.5.2: a Ping is answered unless a Close frame has been received; §5.5.1: nothing follows our own.
    case .ping(let bytes): .ping(WebSocketPayload(copying: bytes), answer: automaticReplies.contains(.pongs) && canSend)
    case .close(let payload): .close(payload, action: actOrWithhold { $0.receiveClose(payload) })
    case .violation(let violation): .violation(violation, action: actOrWithhold { $0.fail(violation) })
    }
  }

  // MARK: Closing

  /// Begins the closing handshake (RFC 6455 §7.1.2). Does nothing before the connection is open, and if it has begun.
  package mutating func close(_ payload: ClosePayload) -> ClosingHandshake.Action {
    changeClosing { $0.close(payload) }
  }

  /// Records that the owner writes a Close frame that it built itself, for peers that are scripted to misbehave.
  ///
  /// The frame begins the closing handshake, or stands for the Close frame that is held back. What the handshake asks
  /// for next is held back: see ``takeWithheldAction()``.
  ///
  /// - Parameter payload: What the frame says.
  package mutating func recordClose(_ payload: ClosePayload) {
    if withheld.close == nil {
      withhold(ClosingHandshake.Action(next: close(payload).next))
    } else {
      withheld.close = nil
    }
  }

  /// Takes the action that was held back, if there is one; the caller carries it out.
  package mutating func takeWithheldAction() -> ClosingHandshake.Action {
    defer { withheld = .none }
    return withheld
  }

  private mutating func actOrWithhold(
    _ change: (inout ClosingHandshake) -> ClosingHandshake.Action
  ) -> ClosingHandshake.Action {
    let action = changeClosing(change)
    if automaticReplies.contains(.closing) { return action }
    withhold(action)
    return .none
  }

  /// Keeps an action for later. It replaces an earlier one, which can only be to await the peer's Close frame.
  private mutating func withhold(_ action: ClosingHandshake.Action) {
    if action != .none { withheld = action }
  }

  private mutating func changeClosing(
    _ body: (inout ClosingHandshake) -> ClosingHandshake.Action
  ) -> ClosingHandshake.Action {
    guard case .open(var closing) = state else { return .none }
    let action = body(&closing)
    state = .open(closing)
    return action
  }

  // MARK: The end

  /// Why the stream is over.
  package enum StreamEnd: Hashable, Sendable {
    /// The peer ended it, cleanly or by breaking it.
    case byPeer

    /// This endpoint gave it up: a deadline passed, or it was told to.
    case byUs
  }

  /// Ends the connection, because its stream is over.
  ///
  /// - Returns: How the connection ended; the same again when repeated.
  package mutating func streamEnded(_ how: StreamEnd) -> ConnectionEnd {
    let end: ConnectionEnd
    switch state {
    case .ended(let earlier): return earlier
    case .open(var closing): end = closing.receiveEndOfStream()
    case .connecting(var parser):
      switch how {
      case .byPeer: end = Self.failedHandshake(parser.receiveEndOfStream())
      case .byUs: end = parser.partialRefusal().map(Self.failedHandshake) ?? .abandoned
      }
    case .accepting: end = ConnectionEnd(streamEndBy: how == .byUs ? .us : .peer)
    }
    state = .ended(end)
    // A message may have been incomplete: its memory goes now.
    receiver = MessageReceiver(role: role, limits: limits)
    return end
  }

  private static func failedHandshake(_ violation: HandshakeViolation) -> ConnectionEnd {
    ConnectionEnd(code: .abnormalClosure, initiator: .us, cause: .handshake(violation))
  }
}
