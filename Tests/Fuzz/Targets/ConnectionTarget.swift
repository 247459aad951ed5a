import SidecarProtocol

/// A connection without a socket: the parser of the answer, the receiver and the closing handshake, put together as a
/// client puts them.
private struct ClientMachine: ~Copyable {
  private enum Phase {
    case upgrading(OpeningResponseParser)
    case open
    case over
  }

  private let limits: ProtocolLimits
  /// After so many reports this side closes by itself.
  private var reportsUntilClose: Int
  private var phase: Phase
  private var receiver: MessageReceiver
  private var closing = ClosingHandshake(role: .client)
  private(set) var log: EventLog
  /// What the client has written since the connection is open.
  private(set) var output = ByteBuffer()
  private var closesWritten = 0

  init(_ request: OpeningRequest, _ limits: ProtocolLimits, closesAfter reports: Int) {
    self.limits = limits
    reportsUntilClose = reports
    phase = .upgrading(OpeningResponseParser(request: request))
    receiver = MessageReceiver(role: .client, limits: limits)
    log = EventLog(limits: limits)
  }

  mutating func receive(_ bytes: UnsafeMutableRawBufferPointer, request: OpeningRequest) throws(PropertyFailure) {
    var rest = bytes
    if case .upgrading(var parser) = phase {
      do throws(HandshakeViolation) {
        let (consumed, response) = try parser.receive(UnsafeRawBufferPointer(bytes))
        phase = .upgrading(parser)
        rest = UnsafeMutableRawBufferPointer(rebasing: bytes[consumed...])
        if let response { try open(response, request) } else { return }
      } catch {
        phase = .over
        log.note(action: "refused")
        return
      }
    }
    guard case .open = phase, !rest.isEmpty else { return }
    var sink = MachineSink(log: log)
    receiver.receive(rest, into: &sink)
    log = sink.log
    try log.check()
    for report in sink.reports { try act(on: report) }
  }

  private mutating func open(_ response: OpeningResponse, _ request: OpeningRequest) throws(HandshakeViolation) {
    do throws(PropertyFailure) {
      try check(response, to: request)
    } catch {
      fatalError(error.description)
    }
    phase = .open
    log.note(action: "open \(response.subprotocol ?? "") \(response.deflate as Any)")
    receiver = MessageReceiver(role: .client, limits: limits, deflate: response.deflate)
  }

  private mutating func act(on report: MachineSink.Report) throws(PropertyFailure) {
    switch report {
    case .message: break
    case .ping(let payload):
      if closing.canSend || closing.canReceive, closesWritten == 0 { write(.pong, payload) }
    case .close(let code, let reason): try perform(closing.receiveClose(code, reason: reason))
    case .violation(let violation): try perform(closing.fail(violation))
    }
    reportsUntilClose -= 1
    if reportsUntilClose == 0 { try perform(closing.sendClose(.empty)) }
  }

  private mutating func perform(_ action: ClosingHandshake.Action) throws(PropertyFailure) {
    log.note(action: "\(action)")
    guard case .writeClose(let payload, _) = action else { return }
    closesWritten += 1
    write(.connectionClose, payload.withUnsafeBytes { Array($0) })
    try require(closesWritten == 1, "a second Close frame is written")
  }

  private mutating func write(_ opcode: Opcode, _ payload: [UInt8]) {
    payload.withUnsafeBytes { FrameWriter.append(opcode, payload: $0, maskKey: 0x1234_5678, to: &output) }
  }

  /// Ends the stream, and says what it came to.
  mutating func end() throws(PropertyFailure) {
    try perform(closing.receiveEndOfStream())
    guard let outcome = closing.outcome else { throw PropertyFailure(description: "an end without an outcome") }
    log.note(action: "\(outcome)")
    // Whatever the peer does, what this side says is right.
    let spoken = try ReceiverSetup(role: .server, limits: ProtocolLimits()).receive(output.bytes, .whole)
    try require(!spoken.log.endsWithViolation, "the client breaks the protocol itself")
    try require(spoken.isDiscarding == (closesWritten > 0), "the last frame is not the Close frame")
  }
}

/// Keeps what a read brought, so that it is acted on behind it, as the client does.
private struct MachineSink: ReceiveSink {
  enum Report {
    case message
    case ping([UInt8])
    case close(CloseCode?, String)
    case violation(ProtocolViolation)
  }

  var log: EventLog
  var reports: [Report] = []

  init(log: EventLog) {
    self.log = log
  }

  var inflateDestination: UnsafeMutableRawBufferPointer { log.inflateDestination }

  mutating func receiveMessage(_ kind: MessageKind, _ bytes: UnsafeRawBufferPointer) {
    log.receiveMessage(kind, bytes)
    reports.append(.message)
  }

  mutating func receiveMessage(_ kind: MessageKind, assembled payload: WebSocketPayload) {
    log.receiveMessage(kind, assembled: payload)
    reports.append(.message)
  }

  mutating func receivePing(_ bytes: UnsafeRawBufferPointer) {
    log.receivePing(bytes)
    reports.append(.ping(Array(bytes)))
  }

  mutating func receivePong(_ bytes: UnsafeRawBufferPointer) {
    log.receivePong(bytes)
    reports.append(.message)
  }

  mutating func receiveClose(_ code: CloseCode?, reason: String) {
    log.receiveClose(code, reason: reason)
    reports.append(.close(code, reason))
  }

  mutating func receiveViolation(_ violation: ProtocolViolation) {
    log.receiveViolation(violation)
    reports.append(.violation(violation))
  }
}

/// The whole machine, from the answer to the end of the stream: cutting changes nothing of what is reported, done and
/// written.
///
/// What is reported and what is done about it are compared each in its order: which of two comes first depends on what
/// one read brings.
func checkConnection(_ input: inout FuzzInput) throws(PropertyFailure) {
  let request = try fixedRequest(flags: input.byte())
  let limits = input.limits()
  let closesAfter = Int(input.byte() & 15)
  let cutting = input.cutting()
  let bytes = input.rest

  func run(_ cutting: Cutting) throws(PropertyFailure) -> (log: [[UInt8]], output: [UInt8]) {
    var machine = ClientMachine(request, limits, closesAfter: closesAfter)
    try cutting.forEachPiece(of: bytes) { piece throws(PropertyFailure) in
      try machine.receive(piece, request: request)
    }
    try machine.end()
    return ([machine.log.bytes, machine.log.actions], Array(machine.output.bytes))
  }

  let whole = try run(.whole)
  for cutting in [cutting, .single] where bytes.count <= 4096 {
    let pieces = try run(cutting)
    try require(pieces.log == whole.log, "\(cutting), the connection goes another way")
    try require(pieces.output == whole.output, "\(cutting), the client says something else")
  }
}
