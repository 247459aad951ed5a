import SidecarProtocol

/// A sink that writes down what it is told, as bytes that can be compared quickly, and notices what must not happen.
struct EventLog: MessageSink {
  enum Kind: UInt8 {
    case text = 1
    case binary, ping, pong, close, violation, action
  }

  /// What was reported, in its order.
  private(set) var bytes: [UInt8] = []
  /// What was done about it, in its order.
  private(set) var actions: [UInt8] = []
  /// What can be said again: each frame that would lead to the same report.
  private(set) var frames: [(opcode: Opcode, payload: [UInt8])] = []
  private(set) var endsWithViolation = false
  private(set) var failure: String?
  private var hasEnded = false
  private let maximumMessageSize: Int

  /// Offered to whoever can put a message there.
  private let room = Room()
  var inflateDestination: UnsafeMutableRawBufferPointer { room.memory }

  init(limits: ProtocolLimits) {
    maximumMessageSize = limits.maximumMessageSize
  }

  mutating func receiveMessage(_ kind: MessageKind, _ bytes: UnsafeRawBufferPointer) {
    if bytes.count > maximumMessageSize { failure = "a message of \(bytes.count) bytes is over the limit" }
    if kind == .text, String(validating: bytes, as: UTF8.self) == nil { failure = "text is not UTF-8" }
    note(kind == .text ? .text : .binary, bytes)
    frames.append((Opcode(kind), Array(bytes)))
  }

  mutating func receiveMessage(_ kind: MessageKind, assembled payload: WebSocketPayload) {
    payload.withUnsafeBytes { receiveMessage(kind, $0) }
  }

  mutating func note(_ interruption: ReceiveInterruption) {
    switch interruption {
    case .ping(let bytes): notePing(Array(bytes))
    case .pong(let bytes): notePong(Array(bytes))
    case .close(let payload): noteClose(payload)
    case .violation(let violation): noteViolation(violation)
    case .pause: failure = "a receiver paused without a reason"
    }
  }

  mutating func notePing(_ bytes: [UInt8]) {
    note(.ping, bytes)
    frames.append((.ping, bytes))
  }

  mutating func notePong(_ bytes: [UInt8]) {
    note(.pong, bytes)
    frames.append((.pong, bytes))
  }

  mutating func noteClose(_ close: ClosePayload) {
    note(.close, Array("\(close.code?.rawValue ?? 0) \(close.reason)".utf8))
    hasEnded = true
    let payload = try? ClosePayload(close.code, reason: close.reason)
    if payload == nil { failure = "a Close frame was reported that nobody may send: \(close)" }
    frames.append((.connectionClose, payload?.withUnsafeBytes { Array($0) } ?? []))
  }

  mutating func noteViolation(_ violation: ProtocolViolation) {
    note(.violation, Array("\(violation)".utf8))
    hasEnded = true
    endsWithViolation = true
    if violation.summary.utf8.count > ClosePayload.maximumReasonSize { failure = "too long to be sent: \(violation)" }
    if !violation.closeCode.isSendable { failure = "no Close frame carries \(violation.closeCode)" }
  }

  /// Notes what an endpoint did about what it was told.
  mutating func note(action: String) {
    Self.append(.action, action.utf8, to: &actions)
  }

  private mutating func note(_ kind: Kind, _ payload: some Collection<UInt8>) {
    if hasEnded { failure = "something was reported behind a Close frame or a violation" }
    Self.append(kind, payload, to: &bytes)
  }

  private static func append(_ kind: Kind, _ payload: some Collection<UInt8>, to bytes: inout [UInt8]) {
    bytes.append(kind.rawValue)
    withUnsafeBytes(of: UInt32(truncatingIfNeeded: payload.count)) { bytes.append(contentsOf: $0) }
    bytes.append(contentsOf: payload)
  }

  /// Fails if something happened that must not.
  func check() throws(PropertyFailure) {
    if let failure { throw PropertyFailure(description: failure) }
  }
}

/// Memory that ends with the log.
private final class Room {
  let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 2048, alignment: 1)

  deinit {
    memory.deallocate()
  }
}

extension EventLog: CustomStringConvertible {
  var description: String {
    "[" + frames.map { "\($0.opcode) \($0.payload)" }.joined(separator: ", ") + "] "
      + (endsWithViolation
        ? String(decoding: bytes.suffix(120).filter { (0x20...0x7E).contains($0) }, as: UTF8.self) : "")
  }
}

extension MessageReceiver {
  /// Feeds `bytes`, and writes down what interrupts the receiver as well as the messages.
  mutating func receive(_ bytes: UnsafeMutableRawBufferPointer, into sink: inout EventLog) {
    guard var input = ReadCursor(bytes) else { return }
    while let interruption = receive(&input, into: &sink) { sink.note(interruption) }
  }
}

/// What a receiver came to.
struct Reception {
  let log: EventLog
  let isDiscarding: Bool
  let isBetweenMessages: Bool

  /// Fails unless both came to the same.
  func requireSame(as other: Reception, _ what: String) throws(PropertyFailure) {
    try require(
      log.bytes == other.log.bytes, "\(what) reports something else: \(log) instead of \(other.log)")
    try require(
      isDiscarding == other.isDiscarding && isBetweenMessages == other.isBetweenMessages, "\(what) ends elsewhere")
  }
}

/// How a receiver is made.
struct ReceiverSetup {
  var role: Role
  var limits: ProtocolLimits
  var deflate: PermessageDeflate.Agreement?

  /// Feeds `bytes` to a receiver. With `direct`, payloads are read into the message where the receiver offers it.
  func receive(
    _ bytes: UnsafeRawBufferPointer, _ cutting: Cutting, direct: Bool = false
  ) throws(PropertyFailure) -> Reception {
    var receiver = MessageReceiver(role: role, limits: limits, deflate: deflate)
    var log = EventLog(limits: limits)
    cutting.forEachPiece(of: bytes) { piece in
      var piece = piece
      while direct, !piece.isEmpty, let target = receiver.directReadTarget(minimum: 1) {
        let count = min(target.count, piece.count)
        target.copyMemory(from: UnsafeRawBufferPointer(rebasing: piece[..<count]))
        if let interruption = receiver.didReadDirectly(count: count, into: &log) { log.note(interruption) }
        piece = UnsafeMutableRawBufferPointer(rebasing: piece[count...])
      }
      receiver.receive(piece, into: &log)
    }
    try log.check()
    return Reception(
      log: log, isDiscarding: receiver.isDiscarding, isBetweenMessages: receiver.isBetweenMessages)
  }

  /// Feeds `bytes` in every way, and fails unless all of them come to the same.
  func receiveInEveryWay(
    _ bytes: UnsafeRawBufferPointer, _ cutting: Cutting
  ) throws(PropertyFailure) -> Reception {
    let whole = try receive(bytes, .whole)
    try receive(bytes, cutting).requireSame(as: whole, cutting.description)
    try receive(bytes, cutting, direct: true).requireSame(as: whole, "reading directly, \(cutting)")
    // A byte at a time shows every place where a read can end, but costs the most.
    if bytes.count <= 1024 { try receive(bytes, .single).requireSame(as: whole, "\(Cutting.single)") }
    return whole
  }
}
