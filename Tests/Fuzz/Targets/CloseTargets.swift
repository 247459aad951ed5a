import SidecarProtocol

/// Close frames: what is accepted can be sent as it came, and the receiver judges as the payload does.
func checkClose(_ input: inout FuzzInput) throws(PropertyFailure) {
  let steps = (0..<8).map { _ in input.byte() }
  let payload = UnsafeRawBufferPointer(rebasing: input.rest.prefix(FrameHeader.maximumControlPayload))
  var wire = ByteBuffer()
  FrameWriter.append(.connectionClose, payload: payload, maskKey: nil, to: &wire)
  let setup = ReceiverSetup(role: .client, limits: ProtocolLimits())
  let reception = try setup.receiveInEveryWay(wire.bytes, .random(seed: steps[0]))
  try require(reception.isDiscarding, "a receiver goes on behind a Close frame")
  do throws(ProtocolViolation) {
    let close = try ClosePayload(decoding: payload)
    try checkEncoding(of: close, payload, reception)
  } catch {
    try require(
      error.closeCode == .protocolError || error.closeCode == .invalidFramePayloadData, "refused with \(error)")
    try require(reception.log.endsWithViolation, "the receiver accepts what the payload refuses: \(error)")
  }
  try checkClosingHandshake(steps)
}

private func checkEncoding(
  of close: ClosePayload, _ payload: UnsafeRawBufferPointer, _ reception: Reception
) throws(ProtocolViolation) {
  guard
    reception.log.frames.count == 1, reception.log.frames[0].payload.elementsEqual(payload),
    close.withUnsafeBytes({ $0.elementsEqual(payload) }), ClosePayload.shortened(close.reason) == close.reason,
    (try? ClosePayload(close.code, reason: close.reason)) == close
  else { fatalError("a Close frame that was accepted cannot be sent as it came: \(close)") }
}

/// Takes steps in any order: one Close frame at most is written, and an outcome that is settled stays.
private func checkClosingHandshake(_ steps: [UInt8]) throws(PropertyFailure) {
  var closing = ClosingHandshake(role: steps[0] & 0x80 == 0 ? .client : .server)
  var written = 0
  var settled: ClosingHandshake.Outcome?
  for step in steps {
    let action =
      switch step & 3 {
      case 0: closing.sendClose(.empty)
      case 1: closing.receiveClose(step & 4 == 0 ? nil : .goingAway, reason: step & 4 == 0 ? "" : "bye")
      case 2: closing.fail(ProtocolViolation(.reservedOpcode(step & 7)))
      default: closing.receiveEndOfStream()
      }
    if case .writeClose = action { written += 1 }
    try require(written <= 1, "a second Close frame is written")
    try require(!closing.canSend || written == 0, "data may be sent behind a Close frame")
    try require(closing.canSend == (closing.outcome == nil), "closing has begun without an outcome, or the reverse")
    if let settled { try require(closing.outcome == settled, "\(settled) has become \(closing.outcome as Any)") }
    if !closing.canReceive { settled = closing.outcome }
  }
  _ = closing.receiveEndOfStream()
  try require(closing.outcome != nil && !closing.canReceive, "the stream has ended, and the connection has not")
}
