/// Turns the bytes of a connection into messages and control frames (RFC 6455 §5, §6.2 and §8.1).
///
/// Takes whatever a read returned, however it cuts the frames, and consumes all of it. A message that lies whole in what
/// was read is reported where it lies; any other is put together in storage of its own, at one copy a byte. After a
/// violation or a Close frame the receiver is one that discards, so that nothing behind it can be acted on.
///
/// An idle receiver has no memory of its own but up to 4 KiB of a small message that came in pieces, and what an
/// `Inflater` keeps where compression was agreed on with context takeover.
///
/// No I/O and no locks: it belongs to whoever reads the socket.
@usableFromInline
package struct MessageReceiver: ~Copyable {
  /// A frame whose header has been read.
  private struct FrameInProgress {
    let header: FrameHeader
    let payloadLength: Int
    var received = 0

    var remaining: Int { payloadLength - received }
  }

  private enum Phase {
    case frameHeader
    case controlPayload(FrameInProgress)
    case dataPayload(FrameInProgress)
    case discarding
  }

  private var phase = Phase.frameHeader
  private var parser: FrameParser
  private var assembler: MessageAssembler

  /// The payload of a control frame that came in pieces.
  private var controlPayload = ByteBuffer()

  /// The largest payload that the fast path takes.
  @usableFromInline let maximumWholeFrame: Int

  /// Whether the next byte begins a frame that may be a whole message, sent by a server: what the fast path is for.
  @usableFromInline private(set) var expectsWholeMessage: Bool

  /// Whether there is memory that is of no use until the next compressed message. It may come in the same read.
  @usableFromInline private(set) var hasSpareMemory = false

  /// The fast path for payload that comes in small pieces; open only in the middle of a data frame.
  @usableFromInline var openPayload = OpenPayload()

  /// How many bytes have to lie behind a compressed message that the fast path takes; more than there can be without an
  /// agreement on compression.
  @usableFromInline let neededBehindCompressed: Int

  /// Makes a receiver for the endpoint that plays `role`; `deflate` is what the handshake agreed on.
  package init(
    role: Role, limits: ProtocolLimits = ProtocolLimits(), deflate: PermessageDeflate.Agreement? = nil
  ) {
    parser = FrameParser(
      role: role, maximumFrameSize: limits.maximumFrameSize, allowsCompression: deflate != nil)
    assembler = MessageAssembler(role: role, limits: limits, deflate: deflate)
    maximumWholeFrame = min(limits.maximumFrameSize, limits.maximumMessageSize)
    neededBehindCompressed = deflate == nil ? .max : DeflateTerminator.size
    expectsWholeMessage = role == .client
  }

  /// Whether a violation or a Close frame has ended the conversation, so that all further bytes are discarded.
  package var isDiscarding: Bool {
    if case .discarding = phase { true } else { false }
  }

  /// Whether no frame and no message has been begun: a stream that ends elsewhere was cut.
  package var isBetweenMessages: Bool {
    if case .frameHeader = phase { parser.isAtFrameStart && !assembler.isInsideMessage } else { false }
  }

  /// Takes the next bytes of the connection and reports what they complete.
  ///
  /// The bytes are changed: a server unmasks them where they are. None is needed after the call.
  @inlinable
  package mutating func receive<Sink: ReceiveSink & ~Copyable>(
    _ bytes: UnsafeMutableRawBufferPointer, into sink: inout Sink
  ) {
    guard let start = bytes.baseAddress else { return }
    if bytes.count <= openPayload.room, openPayload.take(bytes, from: start) { return }
    var input = ReadCursor(bytes, from: start)
    receiveWholeMessages(&input, into: &sink)
    while input.count > 0, let event = nextEvent(&input) {
      event.report(to: &sink)
      receiveWholeMessages(&input, into: &sink)
    }
    if hasSpareMemory { releaseSpareMemory() }
  }

  /// The fast path: unmasked frames that are complete, unfragmented messages. Leaves everything else, and every header and
  /// text that is wrong, to `nextEvent`.
  @inlinable
  mutating func receiveWholeMessages<Sink: ReceiveSink & ~Copyable>(_ input: inout ReadCursor, into sink: inout Sink) {
    guard expectsWholeMessage else { return }
    let end = UnsafeRawPointer(input.end)
    let limit = maximumWholeFrame
    // One comparison tells that a frame is a binary message and short: what its first two bytes are more than 0x8200 is its
    // length. There can be two hundred million of them a second, and each instruction counts.
    let shortBinary = UInt16(0x8200)
    let shortLimit = UInt16(min(limit, 125))
    let lastHeader = end - 2
    var position = UnsafeRawPointer(input.position)
    defer { input.position = UnsafeMutableRawPointer(mutating: position) }
    while position <= lastHeader {
      let header = UInt16(bigEndian: position.loadUnaligned(as: UInt16.self))
      var payload = position + 2
      if header &- shortBinary <= shortLimit {
        // Not taken from `header`: the next frame has to wait for its length, and not for what was done to that.
        let length = Int(position.load(fromByteOffset: 1, as: UInt8.self))
        let next = payload + length
        guard next <= end else { break }
        sink.receiveMessage(.binary, UnsafeRawBufferPointer(start: payload, count: length))
        position = next
        continue
      }
      var length = Int(header & 0xFF)
      if length > 125 {
        guard length == 126, end - position >= 4 else { break }
        length = Int(UInt16(bigEndian: position.loadUnaligned(fromByteOffset: 2, as: UInt16.self)))
        guard length > 125 else { break }
        payload += 2
      }
      guard length <= limit, length <= end - payload else { break }
      let bytes = UnsafeRawBufferPointer(start: payload, count: length)
      // FIN, no reserved bit, and an opcode.
      let firstByte = header &>> 8
      switch firstByte {
      case 0x82:
        sink.receiveMessage(.binary, bytes)
      case 0x81:
        guard Self.report(text: bytes, to: &sink) else { return }
      case 0xC1, 0xC2:
        guard end - payload - length >= neededBehindCompressed else { return }
        let room = sink.inflateDestination
        let progress = inflateShort(bytes, room: room)
        if progress.rest.isEmpty, progress.bytes.count <= PayloadArena.maximumSharedPayload {
          if firstByte == 0xC2 {
            sink.receiveMessage(.binary, progress.bytes)
            break
          }
          if Self.report(text: progress.bytes, to: &sink) { break }
        }
        inflateRest(firstByte == 0xC1 ? .text : .binary, progress, room: room)?.report(to: &sink)
        guard expectsWholeMessage else { return }
      default: return
      }
      position = payload + length
    }
  }

  /// Reports a whole text; returns false, and reports nothing, if it is not UTF-8.
  @inlinable @inline(__always)
  static func report<Sink: ReceiveSink & ~Copyable>(text bytes: UnsafeRawBufferPointer, to sink: inout Sink) -> Bool {
    switch UTF8Validator.validity(bytes) {
    case .ascii: sink.receiveASCII(bytes)
    case .beyondASCII: sink.receiveMessage(.text, bytes)
    case .invalid: return false
    }
    return true
  }

  /// Takes the payload of a frame that is a compressed message, if it is short.
  @usableFromInline
  mutating func inflateShort(
    _ bytes: UnsafeRawBufferPointer, room: UnsafeMutableRawBufferPointer
  ) -> InflateProgress {
    hasSpareMemory = true
    return assembler.inflateShort(bytes, room: room)
  }

  /// Takes what that has left of it.
  @usableFromInline
  mutating func inflateRest(
    _ kind: MessageKind, _ progress: InflateProgress, room: UnsafeMutableRawBufferPointer
  ) -> ReceiveEvent? {
    do throws(ProtocolViolation) {
      return try assembler.inflateRest(kind, progress, room: room).map(Self.event)
    } catch {
      expectsWholeMessage = false
      discard()
      return .violation(error)
    }
  }

  /// Takes bytes from `input` up to the next thing to report, or all of them.
  @usableFromInline
  mutating func nextEvent(_ input: inout ReadCursor) -> ReceiveEvent? {
    if input.count == 1, case .frameHeader = phase, parser.keepPart(&input) {
      expectsWholeMessage = false
      return nil
    }
    defer {
      expectsWholeMessage = parser.role == .client && isBetweenMessages
      hasSpareMemory = assembler.hasSpareMemory
    }
    do throws(ProtocolViolation) {
      while try beginFrame(&input) {
        if let event = try receivePayload(&input) { return event }
        guard case .frameHeader = phase else { break }
      }
      return nil
    } catch {
      discard()
      return .violation(error)
    }
  }

  @usableFromInline
  mutating func releaseSpareMemory() {
    assembler.releaseSpareMemory()
    hasSpareMemory = false
  }

  /// Reads the next header, unless there is one already; returns whether a payload comes next.
  private mutating func beginFrame(_ input: inout ReadCursor) throws(ProtocolViolation) -> Bool {
    switch phase {
    case .frameHeader: break
    case .controlPayload, .dataPayload: return true
    case .discarding:
      input.position = input.end
      return false
    }
    switch parser.parse(&input, insideMessage: assembler.isInsideMessage) {
    case .incomplete:
      return false
    case .violation(let rule):
      throw ProtocolViolation(rule)
    case .header(let header, let payloadLength):
      let frame = FrameInProgress(header: header, payloadLength: payloadLength)
      if header.opcode.isControl {
        controlPayload.removeAll()
        phase = .controlPayload(frame)
      } else {
        try assembler.beginFrame(header, payloadLength: payloadLength)
        phase = .dataPayload(frame)
      }
      return true
    }
  }

  /// Takes as much of the payload as there is, and returns what it completes.
  private mutating func receivePayload(_ input: inout ReadCursor) throws(ProtocolViolation) -> ReceiveEvent? {
    switch phase {
    case .controlPayload(let frame): try receiveControlPayload(frame, &input)
    case .dataPayload(let frame): try receiveDataPayload(frame, &input)
    case .frameHeader, .discarding: nil
    }
  }

  /// Takes a piece of a control frame, unmasked where it lies, and returns the event if it is the last one.
  private mutating func receiveControlPayload(
    _ frame: FrameInProgress, _ input: inout ReadCursor
  ) throws(ProtocolViolation) -> ReceiveEvent? {
    var frame = frame
    let piece = takePayload(of: &frame, from: &input)
    var payload = UnsafeRawBufferPointer(piece)
    if piece.count < frame.payloadLength {
      controlPayload.append(payload)
      phase = .controlPayload(frame)
      guard frame.remaining == 0 else { return nil }
      payload = controlPayload.bytes
    }
    // RFC 6455 §5.4: control frames may stand between the fragments of a message, which then goes on.
    phase = .frameHeader
    switch frame.header.opcode {
    case .ping: return .ping(payload)
    case .pong: return .pong(payload)
    default:
      let close = try ClosePayload(decoding: payload)
      // §5.5.1: nothing that comes after a Close frame counts.
      discard()
      return .close(close.code, reason: close.reason)
    }
  }

  /// Takes a piece of a data frame, and returns the message if it is the last one.
  private mutating func receiveDataPayload(
    _ frame: FrameInProgress, _ input: inout ReadCursor
  ) throws(ProtocolViolation) -> ReceiveEvent? {
    var frame = frame
    closePayload(of: &frame)
    let piece = UnsafeRawBufferPointer(takePayload(of: &frame, from: &input))
    if piece.count == frame.payloadLength, frame.header.fin, frame.header.opcode != .continuation, !frame.header.rsv1 {
      phase = .frameHeader
      return try assembler.finishWhole(piece).map(Self.event)
    }
    try assembler.append(
      piece, expected: frame.header.fin ? frame.remaining + piece.count : nil, writableBehind: input.count)
    return try continueMessage(frame)
  }

  /// Goes on to the rest of the frame, the next frame, or the end of the message.
  private mutating func continueMessage(_ frame: FrameInProgress) throws(ProtocolViolation) -> ReceiveEvent? {
    guard frame.remaining == 0 else {
      phase = .dataPayload(frame)
      // The last byte is not among them: it completes something.
      if frame.header.maskKey == nil { openPayload = assembler.openPayload(upTo: frame.remaining - 1) }
      return nil
    }
    phase = .frameHeader
    guard frame.header.fin else { return nil }
    return try assembler.finish().map(Self.event)
  }

  /// Counts what has gone into the open payload.
  private mutating func closePayload(of frame: inout FrameInProgress) {
    guard openPayload.next != nil else { return }
    frame.received += openPayload.taken
    assembler.close(openPayload)
    openPayload = OpenPayload()
  }

  /// Takes as much of the payload as has arrived, and unmasks it where it lies (RFC 6455 §5.3).
  private func takePayload(
    of frame: inout FrameInProgress, from input: inout ReadCursor
  ) -> UnsafeMutableRawBufferPointer {
    let piece = input.take(upTo: frame.remaining)
    if let key = frame.header.maskKey { Mask.apply(key: key, offset: frame.received, to: piece) }
    frame.received += piece.count
    return piece
  }

  private static func event(_ message: MessageAssembler.Message) -> ReceiveEvent {
    switch message {
    case .borrowed(let kind, let bytes, let isASCII): isASCII ? .ascii(bytes) : .message(kind, bytes)
    case .owned(let kind, let payload): .assembledMessage(kind, payload)
    }
  }

  private mutating func discard() {
    phase = .discarding
    assembler.discard()
    controlPayload.removeAll(keepingCapacityUpTo: 0)
  }
}

extension MessageReceiver {
  /// Returns memory of the message in progress for the socket to be read into, or `nil` unless at least `minimum` bytes
  /// of an uncompressed data frame's payload are still to come.
  ///
  /// A large frame then costs no copy. The memory never reaches beyond the frame, and `didReadDirectly` takes what was
  /// read into it before anything else is done with the receiver.
  package mutating func directReadTarget(minimum: Int) -> UnsafeMutableRawBufferPointer? {
    guard case .dataPayload(var frame) = phase, minimum > 0, !assembler.isCompressed,
      frame.remaining - openPayload.taken >= minimum
    else { return nil }
    closePayload(of: &frame)
    phase = .dataPayload(frame)
    let target = assembler.reserve(minimum, expected: frame.header.fin ? frame.remaining : nil)
    return UnsafeMutableRawBufferPointer(rebasing: target.prefix(frame.remaining))
  }

  /// Takes the first `count` bytes of the memory that `directReadTarget` returned.
  @inlinable
  package mutating func didReadDirectly<Sink: ReceiveSink & ~Copyable>(count: Int, into sink: inout Sink) {
    acceptDirectRead(count)?.report(to: &sink)
  }

  @usableFromInline
  mutating func acceptDirectRead(_ count: Int) -> ReceiveEvent? {
    guard case .dataPayload(var frame) = phase, count > 0, count <= frame.remaining else {
      precondition(count == 0, "\(count) bytes were read directly where no frame has room for them.")
      return nil
    }
    defer { expectsWholeMessage = parser.role == .client && isBetweenMessages }
    do throws(ProtocolViolation) {
      let target = assembler.reserve(count, expected: frame.header.fin ? frame.remaining : nil)
      let piece = UnsafeMutableRawBufferPointer(rebasing: target.prefix(count))
      if let key = frame.header.maskKey { Mask.apply(key: key, offset: frame.received, to: piece) }
      frame.received += count
      try assembler.commit(UnsafeRawBufferPointer(piece))
      return try continueMessage(frame)
    } catch {
      discard()
      return .violation(error)
    }
  }
}

// Its storage has one owner, this value, which cannot be copied.
extension MessageReceiver: @unchecked Sendable {}
