/// Puts the pieces of one message together: fragments (RFC 6455 §5.4), and frames that came in several reads.
struct MessageAssembler: ~Copyable {
  private enum State {
    case betweenMessages
    case insideMessage(MessageKind, frames: Int)
  }

  /// A message whose last byte has arrived.
  enum Message {
    /// In the assembler's own storage until its next change: too small to be worth storage of its own.
    case lent(MessageKind, UnsafeRawBufferPointer)
    case owned(MessageKind, WebSocketPayload)
  }

  private let limits: ProtocolLimits
  private var state = State.betweenMessages
  private var storage = MessageStorage()
  private var validator = UTF8Validator()

  init(limits: ProtocolLimits) {
    self.limits = limits
  }

  /// Whether a message has been begun and not finished.
  var isInsideMessage: Bool {
    if case .insideMessage = state { true } else { false }
  }

  /// Takes note of a data frame whose header has arrived, and refuses one that makes the message exceed its limits.
  ///
  /// The parser has checked that a continuation is one, and that no other frame is.
  mutating func beginFrame(_ opcode: Opcode, payloadLength: Int) throws(ProtocolViolation) {
    switch state {
    case .betweenMessages:
      storage.removeAll()
      validator = UTF8Validator()
      state = .insideMessage(opcode == .text ? .text : .binary, frames: 1)
    case .insideMessage(let kind, let frames):
      // RFC 6455 §10.4: empty fragments count, for they would otherwise go on for ever.
      if frames == limits.maximumFragmentsPerMessage {
        throw ProtocolViolation(.tooManyFragments(limit: limits.maximumFragmentsPerMessage))
      }
      state = .insideMessage(kind, frames: frames + 1)
    }
    // RFC 6455 §10.4: refused when it is announced, before any memory is spent.
    if payloadLength > limits.maximumMessageSize - storage.count {
      throw ProtocolViolation(.messageTooLarge(limit: limits.maximumMessageSize))
    }
  }

  /// Takes a piece of the current frame's payload, unmasked.
  ///
  /// `expected` is how many bytes the message still has, this piece included, if the current frame is its last one.
  mutating func append(_ bytes: UnsafeRawBufferPointer, expected: Int?) throws(ProtocolViolation) {
    try validate(bytes)
    storage.append(bytes, expected: expected)
  }

  /// Returns memory for the next bytes of the current frame, so that they can be read straight into the message.
  mutating func reserve(_ minimum: Int, expected: Int?) -> UnsafeMutableRawBufferPointer {
    storage.reserve(minimum, expected: expected)
  }

  /// Takes the bytes that were put into the memory that `reserve` returned.
  mutating func commit(_ bytes: UnsafeRawBufferPointer) throws(ProtocolViolation) {
    try validate(bytes)
    storage.commit(bytes.count)
  }

  /// Ends the message, whose last frame is complete.
  mutating func finish() throws(ProtocolViolation) -> Message? {
    guard case .insideMessage(let kind, _) = state else { return nil }
    state = .betweenMessages
    // RFC 6455 §8.1: the text as a whole is UTF-8; a fragment may end inside a character, a message may not.
    if kind == .text, !validator.isComplete { throw ProtocolViolation(.textEndsInsideCharacter) }
    if storage.count <= PayloadArena.maximumSharedPayload {
      return .lent(kind, UnsafeRawBufferPointer(storage.bytes))
    }
    return .owned(kind, storage.takePayload())
  }

  /// Forgets the message and frees its memory.
  mutating func discard() {
    state = .betweenMessages
    storage.removeAll(keepingCapacityUpTo: 0)
  }

  /// Judges a message that needs no assembling, because it lies whole in the read buffer.
  mutating func finishWhole(_ bytes: UnsafeRawBufferPointer) throws(ProtocolViolation) -> Message? {
    guard case .insideMessage(let kind, _) = state else { return nil }
    try validate(bytes)
    state = .betweenMessages
    if kind == .text, !validator.isComplete { throw ProtocolViolation(.textEndsInsideCharacter) }
    return .lent(kind, bytes)
  }

  /// RFC 6455 §8.1: text that is not UTF-8 fails the connection; at its first such byte, whatever is still to come.
  private mutating func validate(_ bytes: UnsafeRawBufferPointer) throws(ProtocolViolation) {
    guard case .insideMessage(.text, _) = state else { return }
    if let index = validator.validate(bytes) { throw ProtocolViolation(.invalidUTF8(offset: storage.count + index)) }
  }
}
