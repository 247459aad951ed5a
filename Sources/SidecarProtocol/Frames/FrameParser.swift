/// Reads frame headers, however the bytes are cut, and holds the rules that a header alone can break.
struct FrameParser {
  enum Outcome {
    /// The header continues in the next read.
    case incomplete
    case header(FrameHeader, payloadLength: Int)
    case violation(ProtocolViolation.Rule)
  }

  let role: Role
  let maximumFrameSize: Int

  /// Whether permessage-deflate was agreed on, so that RSV1 has a meaning.
  let allowsCompression: Bool

  /// The beginning of a header whose end has not arrived.
  private var partial: (UInt64, UInt64) = (0, 0)
  private var partialCount = 0

  init(role: Role, maximumFrameSize: Int, allowsCompression: Bool) {
    self.role = role
    self.maximumFrameSize = maximumFrameSize
    self.allowsCompression = allowsCompression
  }

  /// Whether no header has been begun.
  var isAtFrameStart: Bool { partialCount == 0 }

  /// Reads the next header from `input`; takes nothing but the header.
  mutating func parse(_ input: inout ReadCursor, insideMessage: Bool) -> Outcome {
    if partialCount == 0, input.count >= 2 {
      let bytes = input.bytes
      let outcome = examine(bytes, insideMessage: insideMessage)
      if case .header = outcome {
        input.skip(FrameHeader.byteCount(secondByte: bytes[1]))
        return outcome
      }
      guard case .incomplete = outcome else { return outcome }
    }
    while !keepPart(&input) {
      keep(missingCount, of: &input)
      let outcome = withUnsafeBytes(of: partial) { partial in
        examine(UnsafeRawBufferPointer(rebasing: partial[..<partialCount]), insideMessage: insideMessage)
      }
      guard case .incomplete = outcome else {
        partialCount = 0
        return outcome
      }
    }
    return .incomplete
  }

  /// Takes all of `input` if even with it there is nothing to check.
  ///
  /// - Returns: Whether it did.
  mutating func keepPart(_ input: inout ReadCursor) -> Bool {
    guard input.count < missingCount else { return false }
    keep(input.count, of: &input)
    return true
  }

  /// How many bytes are missing until there is something to check: the first two bytes, then the whole header.
  private var missingCount: Int {
    partialCount < 2
      ? 2 - partialCount : withUnsafeBytes(of: partial) { FrameHeader.byteCount(secondByte: $0[1]) } - partialCount
  }

  private mutating func keep(_ count: Int, of input: inout ReadCursor) {
    withUnsafeMutableBytes(of: &partial) { partial in
      for byte in input.take(upTo: count) {
        partial[partialCount] = byte
        partialCount += 1
      }
    }
  }

  /// Checks the header at the start of `bytes`: its first two bytes as soon as they are there.
  private func examine(_ bytes: UnsafeRawBufferPointer, insideMessage: Bool) -> Outcome {
    guard bytes.count >= 2 else { return .incomplete }
    let first = bytes[0]
    let second = bytes[1]
    let reserved = first & FrameHeader.reservedBits
    // RFC 6455 §5.2: a nonzero reserved bit that no extension defines fails the connection; RFC 7692 §6 defines RSV1.
    if reserved != 0, reserved != FrameHeader.rsv1Bit || !allowsCompression {
      return .violation(.reservedBits(reserved))
    }
    // §5.2: so does an unknown opcode.
    guard let opcode = Opcode(rawValue: first & FrameHeader.opcodeBits) else {
      return .violation(.reservedOpcode(first & FrameHeader.opcodeBits))
    }
    // §5.1: a client masks every frame, a server none.
    switch (role, second & FrameHeader.maskBit != 0) {
    case (.client, true): return .violation(.maskedFrameFromServer)
    case (.server, false): return .violation(.unmaskedFrameFromClient)
    default: break
    }
    if opcode.isControl {
      // RFC 7692 §6.1: only data frames are compressed.
      if reserved != 0 { return .violation(.compressedControlFrame(opcode)) }
      // RFC 6455 §5.5: control frames carry at most 125 bytes and are not fragmented.
      if first & FrameHeader.finBit == 0 { return .violation(.fragmentedControlFrame(opcode)) }
      if second & FrameHeader.lengthBits > 125 { return .violation(.oversizedControlFrame(opcode)) }
    } else if opcode == .continuation {
      // §5.4: a continuation continues something.
      if !insideMessage { return .violation(.continuationWithoutMessage) }
      // RFC 7692 §6.1: RSV1 is set on the first frame of a message only.
      if reserved != 0 { return .violation(.compressedBitInsideMessage) }
    } else if insideMessage {
      // RFC 6455 §5.4: the fragments of one message are not interleaved with those of another.
      return .violation(.messageInsideMessage(opcode))
    }
    guard let header = FrameHeader(decoding: bytes) else { return .incomplete }
    return examineLength(of: header, form: second & FrameHeader.lengthBits)
  }

  private func examineLength(of header: FrameHeader, form: UInt8) -> Outcome {
    let length = header.payloadLength
    // RFC 6455 §5.2: the most significant bit of a 64-bit length is 0. Only after this check is the length an `Int`.
    guard let payloadLength = Int(exactly: length) else { return .violation(.lengthWithHighestBit) }
    // §5.2: the minimal number of bytes is used to encode the length.
    if form == 126 && length <= 125 || form == 127 && length <= 0xFFFF { return .violation(.lengthNotMinimal(length)) }
    // §10.4: an implementation protects itself from frames that are too large for it.
    if payloadLength > maximumFrameSize, !header.opcode.isControl {
      return .violation(.frameTooLarge(length: length, limit: maximumFrameSize))
    }
    return .header(header, payloadLength: payloadLength)
  }
}
