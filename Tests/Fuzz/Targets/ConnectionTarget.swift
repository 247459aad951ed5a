import SidecarProtocol

/// A client's connection without a socket.
private struct ClientMachine: ~Copyable {
  /// After so many events this side closes.
  private var eventsUntilClose: Int
  private var connection: WebSocketConnection
  private(set) var log: EventLog
  /// What the client has written since the connection is open.
  private(set) var output = ByteBuffer()
  private var closesWritten = 0

  init(_ request: OpeningRequest, _ limits: ProtocolLimits, closesAfter events: Int) {
    eventsUntilClose = events
    connection = WebSocketConnection(request: request, limits: limits)
    log = EventLog(limits: limits)
  }

  mutating func receive(_ bytes: UnsafeMutableRawBufferPointer, request: OpeningRequest) throws(PropertyFailure) {
    guard var input = ReadCursor(bytes) else { return }
    // One message at a time: closing must not depend on what one read brings.
    while true {
      var sink = OneMessageSink(log: log)
      let event = connection.receive(&input, into: &sink)
      log = sink.log
      try log.check()
      if sink.isFull { try countEvent() }
      guard let event else { break }
      try act(on: event, request)
    }
  }

  private mutating func act(
    on event: WebSocketConnection.Event, _ request: OpeningRequest
  ) throws(PropertyFailure) {
    switch event {
    case .opened(let response):
      try check(response, to: request)
      log.note(action: "open \(response.subprotocol ?? "") \(response.deflate as Any)")
      return
    case .handshakeFailed:
      log.note(action: "refused")
      return
    case .requested: throw PropertyFailure(description: "a client received a request")
    case .pause: return
    case .ping(let payload, let answer):
      log.notePing(Array(payload))
      if answer { write(.pong, Array(payload)) }
    case .pong(let payload): log.notePong(Array(payload))
    case .close(let close, let action):
      log.noteClose(close)
      try carryOut(action)
    case .violation(let violation, let action):
      log.noteViolation(violation)
      try carryOut(action)
    }
    try countEvent()
  }

  private mutating func countEvent() throws(PropertyFailure) {
    eventsUntilClose -= 1
    if eventsUntilClose == 0 { try carryOut(connection.close(.empty)) }
  }

  private mutating func carryOut(_ action: ClosingHandshake.Action) throws(PropertyFailure) {
    log.note(action: "\(action)")
    guard let payload = action.close else { return }
    closesWritten += 1
    write(.connectionClose, payload.withUnsafeBytes { Array($0) })
    try require(closesWritten == 1, "a second Close frame is written")
  }

  private mutating func write(_ opcode: Opcode, _ payload: [UInt8]) {
    payload.withUnsafeBytes { FrameWriter.append(opcode, payload: $0, maskKey: 0x1234_5678, to: &output) }
  }

  /// Ends the stream, and checks how the connection ended.
  mutating func end() throws(PropertyFailure) {
    let settled = connection.settledEnd
    let end = connection.streamEnded(.byPeer)
    try require(settled == nil || settled == end, "a settled end has changed")
    try require(connection.settledEnd == end && connection.streamEnded(.byUs) == end, "an end that does not stay")
    // What a failed handshake says that it received depends on the cutting.
    if case .handshake = end.cause { log.note(action: "no handshake") } else { log.note(action: "\(end)") }
    // Whatever the peer does, what this side says is right.
    let spoken = try ReceiverSetup(role: .server, limits: ProtocolLimits()).receive(output.bytes, .whole)
    try require(!spoken.log.endsWithViolation, "the client breaks the protocol itself")
    try require(spoken.isDiscarding == (closesWritten > 0), "the last frame is not the Close frame")
  }
}

/// Takes one message, and is full then.
private struct OneMessageSink: MessageSink {
  var log: EventLog
  private(set) var isFull = false

  init(log: EventLog) {
    self.log = log
  }

  var inflateDestination: UnsafeMutableRawBufferPointer { log.inflateDestination }

  mutating func receiveMessage(_ kind: MessageKind, _ bytes: UnsafeRawBufferPointer) {
    log.receiveMessage(kind, bytes)
    isFull = true
  }

  mutating func receiveMessage(_ kind: MessageKind, assembled payload: WebSocketPayload) {
    log.receiveMessage(kind, assembled: payload)
    isFull = true
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
