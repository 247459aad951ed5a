import SidecarProtocol

/// Frames and messages: cutting changes nothing, and what was understood can be said again.
func checkFrames(_ input: inout FuzzInput) throws(PropertyFailure) {
  let setup = ReceiverSetup(role: input.role(), limits: input.limits())
  let reception = try setup.receiveInEveryWay(input.rest, input.cutting())
  try checkEncoding(of: reception, setup)
}

/// Writes the frames that would lead to the same reports, and reads them again.
private func checkEncoding(of reception: Reception, _ setup: ReceiverSetup) throws(PropertyFailure) {
  guard !reception.log.endsWithViolation else { return }
  var wire = ByteBuffer()
  for (index, frame) in reception.log.frames.enumerated() {
    let key: UInt32? = setup.role == .client ? nil : UInt32(truncatingIfNeeded: index &* 0x9E37_79B9)
    frame.payload.withUnsafeBytes { FrameWriter.append(frame.opcode, payload: $0, maskKey: key, to: &wire) }
  }
  // A message may be larger than one frame may be.
  let limits = ProtocolLimits(maximumMessageSize: setup.limits.maximumMessageSize)
  let again = try ReceiverSetup(role: setup.role, limits: limits).receive(wire.bytes, .whole)
  try require(again.log.bytes == reception.log.bytes, "what was read is read as something else when it is written")
}

/// Compressed messages: the same, whatever the peer calls compressed; and what is compressed here comes back.
func checkInflate(_ input: inout FuzzInput) throws(PropertyFailure) {
  let mode = input.byte()
  let setup = ReceiverSetup(role: input.role(), limits: input.limits(), deflate: input.agreement())
  let cutting = input.cutting()
  // What reaches back farther than the agreed window is refused only where zlib does not have it any more, which depends on the
  // cutting. With the largest window it always has it.
  var roomy = setup
  roomy.deflate = setup.deflate.map {
    .init(
      serverNoContextTakeover: $0.noContextTakeover(sender: .server),
      clientNoContextTakeover: $0.noContextTakeover(sender: .client))
  }
  switch mode & 3 {
  case 0, 1:
    _ = try setup.receive(input.rest, cutting)
    _ = try roomy.receiveInEveryWay(input.rest, cutting)
  case 2: try checkCompressedPayload(input.rest, isText: mode & 4 != 0, roomy, cutting)
  default: try checkCompression(of: input.rest, setup, cutting)
  }
}

/// The bytes are what a frame calls compressed: twice, because the second message may look back at the first.
private func checkCompressedPayload(
  _ payload: UnsafeRawBufferPointer, isText: Bool, _ setup: ReceiverSetup, _ cutting: Cutting
) throws(PropertyFailure) {
  var wire = ByteBuffer()
  for _ in 0..<2 { append(payload, isText ? .text : .binary, rsv1: true, cutInto: 2, setup.role, to: &wire) }
  _ = try setup.receiveInEveryWay(wire.bytes, cutting)
}

/// The bytes are messages, one a length byte, which are compressed as the peer would.
private func checkCompression(
  of bytes: UnsafeRawBufferPointer, _ setup: ReceiverSetup, _ cutting: Cutting
) throws(PropertyFailure) {
  guard let agreement = setup.deflate else { return }
  var deflater = Deflater(agreement, role: setup.role == .client ? .server : .client, level: 1 + bytes.count % 9)
  var wire = ByteBuffer()
  var messages: [[UInt8]] = []
  var rest = bytes[...]
  while let length = rest.popFirst() {
    let message = rest.prefix(Int(length))
    rest = rest.dropFirst(Int(length))
    // Repeated, so that there is something to compress.
    let content = Array(repeating: Array(message), count: 1 + Int(length & 3)).flatMap { $0 }
    messages.append(content)
    var compressed = ByteBuffer()
    content.withUnsafeBytes { deflater.compress($0, into: &compressed) }
    append(compressed.bytes, .binary, rsv1: true, cutInto: 1 + Int(length & 1), setup.role, to: &wire)
  }
  var generous = setup
  generous.limits = ProtocolLimits()
  let reception = try generous.receiveInEveryWay(wire.bytes, cutting)
  try require(reception.log.frames.map(\.payload) == messages, "what was compressed comes back as something else")
}

/// Appends a message in one frame or two, as the peer of `role` would.
private func append(
  _ payload: UnsafeRawBufferPointer, _ kind: MessageKind, rsv1: Bool, cutInto count: Int, _ role: Role,
  to wire: inout ByteBuffer
) {
  let key: UInt32? = role == .client ? nil : 0xA1B2_C3D4
  let middle = count == 1 ? payload.count : payload.count / 2
  FrameWriter.append(
    Opcode(kind), fin: count == 1, rsv1: rsv1, payload: UnsafeRawBufferPointer(rebasing: payload[..<middle]),
    maskKey: key, to: &wire)
  guard count > 1 else { return }
  FrameWriter.append(
    .continuation, payload: UnsafeRawBufferPointer(rebasing: payload[middle...]), maskKey: key, to: &wire)
}

/// Text: the verdict is the standard library's, and comes at the first byte that cannot be valid any more.
func checkText(_ input: inout FuzzInput) throws(PropertyFailure) {
  let cutting = input.cutting()
  let bytes = input.rest
  let isValid = String(validating: bytes, as: UTF8.self) != nil
  try require(UTF8Validator.isValid(bytes) == isValid, "whole text is judged wrongly")
  var whole = UTF8Validator()
  let error = whole.validate(bytes)
  try require((error == nil && whole.isComplete) == isValid, "text is judged wrongly")
  for cutting in [cutting, .single] {
    var validator = UTF8Validator()
    var start = 0
    var found: Int?
    cutting.forEachPiece(of: bytes) { piece in
      if found == nil { found = validator.validate(UnsafeRawBufferPointer(piece)).map { $0 + start } }
      start += piece.count
    }
    try require(found == error, "\(cutting), the error is at \(found as Any) instead of \(error as Any)")
  }
  guard let error else { return }
  // What comes before the error is the beginning of something valid.
  let before = UnsafeRawBufferPointer(rebasing: bytes[..<error])
  let completions: [[UInt8]] = [
    [], [0x80], [0x80, 0x80], [0xBF], [0xBF, 0x80], [0xBF, 0x80, 0x80], [0x90, 0x80, 0x80], [0x80, 0x80, 0x80],
  ]
  try require(
    completions.contains { String(validating: Array(before) + $0, as: UTF8.self) != nil },
    "the error at \(error) is reported too late")
}
