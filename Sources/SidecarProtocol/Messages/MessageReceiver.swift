/// Turns the bytes of a connection into messages and control frames (RFC 6455 §5, §6.2 and §8.1).
///
/// Takes the bytes of a read, however it cuts the frames. A message that is complete in one read is reported where it
/// is; any other is assembled in memory of its own, at one copy a byte. The receiver stops at each control frame, when
/// the sink is full, and when the budget for decompressed bytes is used up; the caller acts, and calls again for the
/// rest. After a violation or a Close frame it discards its input, so that nothing after them can have an effect.
///
/// An idle receiver owns at most 4 KiB, left over from a small message that came in pieces, and an `Inflater`'s window
/// where compression with context takeover was agreed on.
///
/// No I/O and no locks: it belongs to the thread that reads the socket.
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

  /// True if the next byte begins a frame that may be a whole message from a server: the case of the fast path.
  @usableFromInline private(set) var expectsWholeMessage: Bool

  /// True while the inflater holds memory that is of no use until the next compressed message.
  @usableFromInline private(set) var hasSpareMemory = false

  /// How many bytes must follow a compressed message for the fast path; unreachable without compression.
  @usableFromInline let neededAfterCompressed: Int

  /// How many more bytes may come out of compressed messages before the receiver stops.
  ///
  /// A kilobyte of DEFLATE can be a megabyte of messages, so a bound on input does not bound work. Soft: the message
  /// that crosses it is reported whole. Uncompressed messages do not count; they are bounded by the read.
  @usableFromInline package var inflateBudget = Int.max

  /// Messages of up to this many bytes are small: they are reported as borrowed bytes, which the sink copies.
  @usableFromInline package static let smallMessageSize = 1024

  /// Makes a receiver for the endpoint that plays `role`; `deflate` is what the handshake agreed on.
  package init(
    role: Role, limits: ProtocolLimits = ProtocolLimits(), deflate: PermessageDeflate.Agreement? = nil
  ) {
    parser = FrameParser(
      role: role, maximumFrameSize: limits.maximumFrameSize, allowsCompression: deflate != nil)
    assembler = MessageAssembler(role: role, limits: limits, deflate: deflate)
    maximumWholeFrame = min(limits.maximumFrameSize, limits.maximumMessageSize)
    neededAfterCompressed = deflate == nil ? .max : Inflater.tailSize
    expectsWholeMessage = role == .client
  }

  /// True after a violation or a Close frame: all further bytes are discarded.
  package var isDiscarding: Bool {
    if case .discarding = phase { true } else { false }
  }

  /// True if no frame and no message is incomplete: a stream that ends anywhere else was truncated.
  package var isBetweenMessages: Bool {
    if case .frameHeader = phase { parser.isAtFrameStart && !assembler.isInsideMessage } else { false }
  }

  /// Consumes input, and reports the messages that it completes to `sink`.
  ///
  /// The bytes are changed: a server unmasks them in place. None is needed after the call.
  ///
  /// - Returns: What the caller must act on before it calls again for the rest; nil when all input is consumed.
  @inlinable
  package mutating func receive<Sink: MessageSink & ~Copyable>(
    _ input: inout ReadCursor, into sink: inout Sink
  ) -> ReceiveInterruption? {
    var interruption = receiveWholeMessages(&input, into: &sink)
    while interruption == nil, !input.isAtEnd {
      if sink.isFull || inflateBudget <= 0 { return .pause }
      guard let event = nextEvent(&input) else { break }
      interruption = event.deliver(to: &sink) ?? receiveWholeMessages(&input, into: &sink)
    }
    if let interruption { return interruption }
    if hasSpareMemory { releaseSpareMemory() }
    return nil
  }

  /// The fast path: unmasked frames that are complete, unfragmented messages. Leaves all other frames, and every header
  /// and text that is wrong, to `nextEvent`.
  @inlinable
  mutating func receiveWholeMessages<Sink: MessageSink & ~Copyable>(
    _ input: inout ReadCursor, into sink: inout Sink
  ) -> ReceiveInterruption? {
    guard expectsWholeMessage else { return nil }
    let end = UnsafeRawPointer(input.end)
    let limit = maximumWholeFrame
    // One comparison finds a short binary message: the excess of the first two bytes over 0x8200 is its length. There
    // can be two hundred million of them a second, so each instruction counts.
    let shortBinary = UInt16(0x8200)
    let shortLimit = UInt16(min(limit, 125))
    let lastHeader = end - 2
    var position = UnsafeRawPointer(input.position)
    defer { input.position = UnsafeMutableRawPointer(mutating: position) }
    while position <= lastHeader, !sink.isFull {
      let header = UInt16(bigEndian: position.loadUnaligned(as: UInt16.self))
      var payload = position + 2
      if header &- shortBinary <= shortLimit {
        // Loaded again rather than taken from `header`, whose byte swap would delay the next frame.
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
      // FIN, the reserved bits, and the opcode.
      let firstByte = header &>> 8
      switch firstByte {
      case 0x82:
        sink.receiveMessage(.binary, bytes)
      case 0x81:
        guard Self.report(text: bytes, to: &sink) else { return nil }
      case 0xC1, 0xC2:
        guard end - payload - length >= neededAfterCompressed, inflateBudget > 0 else { return nil }
        let event = inflateWhole(firstByte == 0xC1 ? .text : .binary, bytes, into: sink.inflateDestination)
        if let interruption = event?.deliver(to: &sink) { return interruption }
      default: return nil
      }
      position = payload + length
    }
    return nil
  }

  /// Reports a whole text message; returns false, and reports nothing, if it is not UTF-8.
  @inlinable @inline(__always)
  static func report<Sink: MessageSink & ~Copyable>(text bytes: UnsafeRawBufferPointer, to sink: inout Sink) -> Bool {
    switch UTF8Validator.validity(bytes) {
    case .ascii: sink.receiveASCII(bytes)
    case .beyondASCII: sink.receiveMessage(.text, bytes)
    case .invalid: return false
    }
    return true
  }

  /// Decompresses a message that is one frame.
  @usableFromInline
  mutating func inflateWhole(
    _ kind: MessageKind, _ bytes: UnsafeRawBufferPointer, into destination: UnsafeMutableRawBufferPointer
  ) -> ReceiveEvent? {
    hasSpareMemory = true
    defer { inflateBudget -= assembler.takeInflatedCount() }
    do throws(ProtocolViolation) {
      return try assembler.inflateWhole(kind, bytes, into: destination).map(Self.event)
    } catch {
      expectsWholeMessage = false
      discard()
      return .interruption(.violation(error))
    }
  }

  /// Consumes input up to the next event, or all of it.
  @usableFromInline
  mutating func nextEvent(_ input: inout ReadCursor) -> ReceiveEvent? {
    defer {
      expectsWholeMessage = parser.role == .client && isBetweenMessages
      hasSpareMemory = assembler.hasSpareMemory
      inflateBudget -= assembler.takeInflatedCount()
    }
    do throws(ProtocolViolation) {
      while try beginFrame(&input) {
        if let event = try receivePayload(&input) { return event }
        guard case .frameHeader = phase else { break }
      }
      return nil
    } catch {
      discard()
      return .interruption(.violation(error))
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
      input.skipAll()
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

  /// Takes a piece of a control frame, unmasked in place, and returns the event if it is the last one.
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
    // RFC 6455 §5.4: control frames may come between the fragments of a message, which then continues.
    phase = .frameHeader
    switch frame.header.opcode {
    case .ping: return .interruption(.ping(payload))
    case .pong: return .interruption(.pong(payload))
    default:
      let close = try ClosePayload(decoding: payload)
      // §5.5.1: nothing that comes after a Close frame counts.
      discard()
      return .interruption(.close(close))
    }
  }

  /// Takes a piece of a data frame, and returns the message if it is the last one.
  private mutating func receiveDataPayload(
    _ frame: FrameInProgress, _ input: inout ReadCursor
  ) throws(ProtocolViolation) -> ReceiveEvent? {
    var frame = frame
    let piece = UnsafeRawBufferPointer(takePayload(of: &frame, from: &input))
    if piece.count == frame.payloadLength, frame.header.fin, frame.header.opcode != .continuation, !frame.header.rsv1 {
      phase = .frameHeader
      return try assembler.finishWhole(piece).map(Self.event)
    }
    try assembler.append(
      piece, expected: frame.header.fin ? frame.remaining + piece.count : nil, writableAfter: input.count)
    return try continueMessage(frame)
  }

  /// Goes on to the rest of the frame, the next frame, or the end of the message.
  private mutating func continueMessage(_ frame: FrameInProgress) throws(ProtocolViolation) -> ReceiveEvent? {
    guard frame.remaining == 0 else {
      phase = .dataPayload(frame)
      return nil
    }
    phase = .frameHeader
    guard frame.header.fin else { return nil }
    return try assembler.finish().map(Self.event)
  }

  /// Takes as much of the payload as has arrived, and unmasks it in place (RFC 6455 §5.3).
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
    guard case .dataPayload(let frame) = phase, minimum > 0, !assembler.isCompressed, frame.remaining >= minimum
    else { return nil }
    let target = assembler.reserve(minimum, expected: frame.header.fin ? frame.remaining : nil)
    return UnsafeMutableRawBufferPointer(rebasing: target.prefix(frame.remaining))
  }

  /// Takes the first `count` bytes of the memory that `directReadTarget` returned.
  ///
  /// - Returns: What the caller must act on: here only a violation.
  @inlinable
  package mutating func didReadDirectly<Sink: MessageSink & ~Copyable>(
    count: Int, into sink: inout Sink
  ) -> ReceiveInterruption? {
    acceptDirectRead(count)?.deliver(to: &sink)
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
      return .interruption(.violation(error))
    }
  }
}

// Its storage has one owner, this value, which cannot be copied.
extension MessageReceiver: @unchecked Sendable {}
