import SidecarProtocol

/// A sink that writes down what it is told, one line a report.
struct Recorder: MessageSink {
  var lines: [String] = []

  /// How many messages came in storage of their own.
  var assembledCount = 0

  /// Where the bytes of the last message lay.
  var lastAddress: UnsafeRawPointer?

  /// What is offered to the next message.
  var inflateDestination = UnsafeMutableRawBufferPointer(start: nil, count: 0)

  mutating func receiveMessage(_ kind: MessageKind, _ bytes: UnsafeRawBufferPointer) {
    lastAddress = bytes.baseAddress
    lines.append(Self.line(kind, Array(bytes)))
  }

  mutating func receiveMessage(_ kind: MessageKind, assembled payload: WebSocketPayload) {
    assembledCount += 1
    lines.append(Self.line(kind, Array(payload)))
  }

  mutating func note(_ interruption: ReceiveInterruption) {
    switch interruption {
    case .ping(let bytes): lines.append("ping \(brief(Array(bytes)))")
    case .pong(let bytes): lines.append("pong \(brief(Array(bytes)))")
    case .close(let close):
      let code = close.code.map { "\($0.rawValue)" } ?? "without code"
      lines.append("close \(code) \(brief(Array(close.reason.utf8)))")
    case .violation(let violation):
      lines.append("violation \(violation.closeCode.rawValue) \(violation.clause) \(violation.summary)")
    case .pause: lines.append("pause")
    }
  }

  private static func line(_ kind: MessageKind, _ bytes: [UInt8]) -> String {
    "\(kind) \(brief(bytes))"
  }
}

/// The bytes as text where they are short and printable, as hexadecimal digits where they are short, and otherwise as
/// their number and a checksum.
func brief(_ bytes: [UInt8]) -> String {
  if bytes.isEmpty { return "empty" }
  guard bytes.count <= 40 else { return "\(bytes.count) bytes, checksum \(checksum(bytes))" }
  if bytes.allSatisfy({ (0x20...0x7E).contains($0) }) { return "\"\(String(decoding: bytes, as: UTF8.self))\"" }
  return bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
}

/// FNV-1a, 32 bits: enough to see a changed byte.
private func checksum(_ bytes: [UInt8]) -> String {
  String(bytes.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }, radix: 16)
}

extension MessageReceiver {
  /// Feeds `bytes`, and writes down what interrupts the receiver as well as the messages.
  mutating func receive(_ bytes: UnsafeMutableRawBufferPointer, into sink: inout Recorder) {
    guard var input = ReadCursor(bytes) else { return }
    while let interruption = receive(&input, into: &sink) { sink.note(interruption) }
  }
}

extension MessageReceiver {
  /// Feeds `bytes` in pieces of `size` bytes, or whole, and then ends the stream.
  static func record(
    _ bytes: [UInt8], role: Role = .client, limits: ProtocolLimits = ProtocolLimits(),
    deflate: PermessageDeflate.Agreement? = nil, piece size: Int? = nil, room: Int = 0
  ) -> Recorder {
    var receiver = MessageReceiver(role: role, limits: limits, deflate: deflate)
    var recorder = Recorder()
    recorder.inflateDestination = UnsafeMutableRawBufferPointer.allocate(byteCount: room, alignment: 1)
    defer { recorder.inflateDestination.deallocate() }
    receiver.feed(bytes, piece: size, into: &recorder)
    if receiver.isDiscarding {
      recorder.lines.append("discards")
    } else if !receiver.isBetweenMessages {
      recorder.lines.append("cut")
    }
    return recorder
  }

  mutating func feed(_ bytes: [UInt8], piece size: Int? = nil, into recorder: inout Recorder) {
    var bytes = bytes
    bytes.withUnsafeMutableBytes { bytes in
      var start = 0
      while start < bytes.count {
        let end = min(start + (size ?? bytes.count), bytes.count)
        receive(UnsafeMutableRawBufferPointer(rebasing: bytes[start..<end]), into: &recorder)
        start = end
      }
    }
  }
}

/// A frame as it is on the wire, right or wrong.
func frame(
  _ first: UInt8, _ payload: [UInt8] = [], length: LengthForm = .shortest, key: UInt32? = nil
) -> [UInt8] {
  let mask: UInt8 = key == nil ? 0 : 0x80
  var bytes = [first]
  switch (length, payload.count) {
  case (.shortest, ...125): bytes.append(UInt8(payload.count) | mask)
  case (.shortest, ...0xFFFF), (.twoBytes, _):
    bytes += [126 | mask] + bigEndian(UInt64(payload.count)).suffix(2)
  case (.shortest, _), (.eightBytes, _):
    bytes += [127 | mask] + bigEndian(UInt64(payload.count))
  case (.announced(let length), _):
    bytes += [127 | mask] + bigEndian(length)
  }
  guard let key else { return bytes + payload }
  let keyBytes = (0..<4).map { UInt8(truncatingIfNeeded: key >> (8 * UInt32($0))) }
  return bytes + keyBytes + payload.enumerated().map { $0.element ^ keyBytes[$0.offset % 4] }
}

enum LengthForm {
  case shortest, twoBytes, eightBytes
  /// Eight bytes that say this, whatever follows.
  case announced(UInt64)
}

func bigEndian(_ value: UInt64) -> [UInt8] {
  (0..<8).map { UInt8(truncatingIfNeeded: value >> (56 - 8 * UInt64($0))) }
}

/// Calls `body` with the bytes; unlike the array's own method, throws what `body` says that it throws.
func withBytes<Result, Failure: Error>(
  of bytes: [UInt8], _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
) throws(Failure) -> Result {
  try WebSocketPayload(bytes).withUnsafeBytes(body)
}

func utf8(_ text: String) -> [UInt8] { Array(text.utf8) }

/// Bytes that look random and are always the same.
func noise(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
  var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
  return (0..<count).map { _ in
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return UInt8(truncatingIfNeeded: state >> 24)
  }
}
