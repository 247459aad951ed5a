/// Puts the pieces of one message together: fragments (RFC 6455 §5.4), frames that came in several reads, and
/// compressed data (RFC 7692 §6.2).
struct MessageAssembler: ~Copyable {
  private enum State {
    case betweenMessages
    case insideMessage(MessageKind, isCompressed: Bool, frames: Int)
  }

  /// A message whose last byte has arrived.
  enum Message {
    /// In the read buffer, or in the assembler's own storage until its next change: too small for storage of its own.
    case borrowed(MessageKind, UnsafeRawBufferPointer, isASCII: Bool)
    case owned(MessageKind, WebSocketPayload)
  }

  private let limits: ProtocolLimits
  private var state = State.betweenMessages
  private var storage = MessageBuffer()
  private var validator = UTF8Validator()
  private var inflater: Inflater?

  /// How many bytes have come out of the inflater since `takeInflatedCount`.
  private var inflatedCount = 0

  /// What is reserved for a message on its header's word alone: one socket read. From there on what arrived is doubled.
  private static let unearnedReservation = 64 * 1024

  /// A compressed payload of up to this size is unlikely to be a message of more than
  /// `MessageReceiver.smallMessageSize`.
  private static let shortCompressedPayload = MessageReceiver.smallMessageSize / 2

  /// Room for a small message in which zlib does not slow down towards the end.
  private static let shortMessageCapacity = MessageReceiver.smallMessageSize + Inflater.fastPathMargin

  init(role: Role, limits: ProtocolLimits, deflate: PermessageDeflate.Agreement?) {
    self.limits = limits
    if let deflate {
      inflater = Inflater(deflate, role: role)
    } else {
      inflater = nil
    }
  }

  /// Whether a message has been begun and not finished.
  var isInsideMessage: Bool {
    if case .insideMessage = state { true } else { false }
  }

  /// Whether the message that has been begun is compressed.
  var isCompressed: Bool {
    if case .insideMessage(_, isCompressed: true, _) = state { true } else { false }
  }

  /// Takes note of a data frame whose header has arrived, and refuses one that makes the message exceed its limits.
  ///
  /// The parser has checked that a continuation is one and no other frame is, and that RSV1 is where it may be.
  mutating func beginFrame(_ header: FrameHeader, payloadLength: Int) throws(ProtocolViolation) {
    switch state {
    case .betweenMessages:
      storage.removeAll()
      validator = UTF8Validator()
      let kind: MessageKind = header.opcode == .text ? .text : .binary
      state = .insideMessage(kind, isCompressed: header.rsv1, frames: 1)
    case .insideMessage(let kind, let isCompressed, let frames):
      // RFC 6455 §10.4: empty fragments count, for they would otherwise go on for ever.
      if frames == limits.maximumFragmentsPerMessage {
        throw ProtocolViolation(.tooManyFragments(limit: limits.maximumFragmentsPerMessage))
      }
      state = .insideMessage(kind, isCompressed: isCompressed, frames: frames + 1)
    }
    // RFC 6455 §10.4: refused when it is announced, before any memory is spent. The size of a compressed message is
    // not announced; it is counted while it is decompressed.
    if !isCompressed, payloadLength > limits.maximumMessageSize - storage.count { throw messageTooLarge }
  }

  /// Takes a piece of the current frame's payload, unmasked.
  ///
  /// `expected` is how many bytes the message still has, this piece included, if the current frame is its last one;
  /// `writableAfter` is how many bytes after the piece can be written to, if they are restored.
  mutating func append(
    _ bytes: UnsafeRawBufferPointer, expected: Int?, writableAfter: Int
  ) throws(ProtocolViolation) {
    guard !isCompressed else {
      let isLast = expected == bytes.count && writableAfter >= Inflater.tailSize
      try decompress { inflater, storage, limit throws(ProtocolViolation) in
        if isLast {
          try inflater?.inflateLast(bytes, into: &storage, limit: limit)
        } else {
          try inflater?.inflate(bytes, into: &storage, limit: limit)
        }
      }
      return
    }
    try validate(bytes)
    guard !bytes.isEmpty else { return }
    reserve(bytes.count, expected: expected).copyMemory(from: bytes)
    storage.commit(bytes.count)
  }

  /// Returns memory for the next bytes of the current frame, so that they can be read straight into the message.
  mutating func reserve(_ minimum: Int, expected: Int?) -> UnsafeMutableRawBufferPointer {
    guard let expected else { return storage.reserve(minimum, atMost: limits.maximumMessageSize - storage.count) }
    return storage.reserve(minimum, preferring: Self.unearnedReservation, atMost: expected)
  }

  /// Takes the bytes that were put into the memory that `reserve` returned.
  mutating func commit(_ bytes: UnsafeRawBufferPointer) throws(ProtocolViolation) {
    try validate(bytes)
    storage.commit(bytes.count)
  }

  /// Returns how many bytes have come out of compressed messages since the last call.
  mutating func takeInflatedCount() -> Int {
    defer { inflatedCount = 0 }
    return inflatedCount
  }

  /// Ends the message, whose last frame is complete.
  mutating func finish() throws(ProtocolViolation) -> Message? {
    if isCompressed {
      try decompress { inflater, storage, limit throws(ProtocolViolation) in
        try inflater?.finish(into: &storage, limit: limit)
      }
    }
    return try endMessage().map { takeMessage($0) }
  }

  /// Decompresses a message that is one frame. A short one is put into `destination`, if that is large enough.
  ///
  /// `Inflater.tailSize` bytes after `bytes` can be written to, if they are put back.
  mutating func inflateWhole(
    _ kind: MessageKind, _ bytes: UnsafeRawBufferPointer, into destination: UnsafeMutableRawBufferPointer
  ) throws(ProtocolViolation) -> Message? {
    guard bytes.count <= Self.shortCompressedPayload, destination.count >= Self.shortMessageCapacity else {
      storage.removeAll()
      return try inflateWhole(kind, bytes)
    }
    var borrowed = MessageBuffer(
      borrowing: UnsafeMutableRawBufferPointer(rebasing: destination[..<Self.shortMessageCapacity]))
    swap(&storage, &borrowed)
    // A message that turned out to be long has memory of its own by now.
    defer { if storage.isBorrowed { swap(&storage, &borrowed) } }
    return try inflateWhole(kind, bytes)
  }

  /// Decompresses a message into the empty storage.
  private mutating func inflateWhole(
    _ kind: MessageKind, _ bytes: UnsafeRawBufferPointer
  ) throws(ProtocolViolation) -> Message? {
    validator = UTF8Validator()
    state = .insideMessage(kind, isCompressed: true, frames: 1)
    try decompress { inflater, storage, limit throws(ProtocolViolation) in
      try inflater?.inflateLast(bytes, into: &storage, limit: limit)
      try inflater?.finish(into: &storage, limit: limit)
    }
    return try endMessage().map { takeMessage($0) }
  }

  private mutating func takeMessage(_ kind: MessageKind) -> Message {
    if storage.count > MessageReceiver.smallMessageSize { return .owned(kind, storage.takePayload()) }
    return .borrowed(kind, UnsafeRawBufferPointer(storage.bytes), isASCII: kind == .text && validator.isASCII)
  }

  /// Checks a message that needs no assembling, because it is whole in the read buffer.
  mutating func finishWhole(_ bytes: UnsafeRawBufferPointer) throws(ProtocolViolation) -> Message? {
    try validate(bytes)
    return try endMessage().map { .borrowed($0, bytes, isASCII: $0 == .text && validator.isASCII) }
  }

  /// Whether there is memory that is of no use until the next compressed message.
  var hasSpareMemory: Bool {
    mutating get { inflater?.hasSpareMemory == true }
  }

  /// Gives that memory back.
  mutating func releaseSpareMemory() {
    inflater?.releaseSpareMemory()
  }

  /// Forgets the message and frees all memory.
  mutating func discard() {
    state = .betweenMessages
    storage.removeAll(keepingCapacityUpTo: 0)
    inflater?.release()
  }

  private mutating func endMessage() throws(ProtocolViolation) -> MessageKind? {
    guard case .insideMessage(let kind, _, _) = state else { return nil }
    state = .betweenMessages
    // RFC 6455 §8.1: the whole text is UTF-8; a fragment may end inside a character, a message may not.
    if kind == .text, !validator.isComplete { throw ProtocolViolation(.textEndsInsideCharacter) }
    return kind
  }

  /// Lets the inflater append to the storage, and checks what it appended.
  private mutating func decompress(
    _ step: (inout Inflater?, inout MessageBuffer, Int) throws(ProtocolViolation) -> Void
  ) throws(ProtocolViolation) {
    let before = storage.count
    let limit = limits.maximumMessageSize
    var failure: ProtocolViolation?
    do throws(ProtocolViolation) {
      try step(&inflater, &storage, limit)
    } catch {
      failure = error
    }
    // What came before a failure is checked before it, so the result does not depend on how the data was cut.
    inflatedCount += storage.count - before
    let added = storage.bytes[before..<min(storage.count, limit)]
    try validate(UnsafeRawBufferPointer(rebasing: added), offset: before)
    // RFC 6455 §10.4: however much more would come out, at most one byte too many has been produced.
    if storage.count > limit { throw messageTooLarge }
    if let failure { throw failure }
  }

  /// RFC 6455 §8.1: text that is not UTF-8 fails the connection, at the first invalid byte.
  private mutating func validate(_ bytes: UnsafeRawBufferPointer, offset: Int? = nil) throws(ProtocolViolation) {
    guard case .insideMessage(.text, _, _) = state else { return }
    guard let index = validator.validate(bytes) else { return }
    throw ProtocolViolation(.invalidUTF8(offset: (offset ?? storage.count) + index))
  }

  private var messageTooLarge: ProtocolViolation {
    ProtocolViolation(.messageTooLarge(limit: limits.maximumMessageSize))
  }
}
