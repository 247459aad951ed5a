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
  var settled: ConnectionEnd?
  for step in steps {
    switch step & 3 {
    case 0: if closing.close(.empty).close != nil { written += 1 }
    case 1: if closing.receiveClose(close(step)).close != nil { written += 1 }
    case 2: if closing.fail(ProtocolViolation(.reservedOpcode(step & 7))).close != nil { written += 1 }
    default: try require(closing.receiveEndOfStream() == closing.settledEnd, "an end that is not settled")
    }
    try require(written <= 1, "a second Close frame is sent")
    try require(!closing.canSend || written == 0, "data may be sent after a Close frame")
    try require(closing.canReceive == (closing.settledEnd == nil), "settled while messages still count, or the reverse")
    if let settled { try require(closing.settledEnd == settled, "\(settled) has changed") }
    settled = closing.settledEnd
  }
  let end = closing.receiveEndOfStream()
  try require(closing.settledEnd == end && !closing.canReceive, "the stream has ended, and the connection has not")
}

private func close(_ step: UInt8) -> ClosePayload {
  (try? ClosePayload(step & 4 == 0 ? nil : .goingAway, reason: step & 4 == 0 ? "" : "bye")) ?? .empty
}
