import Testing
import SidecarProtocol

@Suite struct CloseCodeTests {
  @Test func `close codes go from 1000 to 4999`() {
    for number in UInt16.min...UInt16.max {
      #expect((CloseCode(rawValue: number) != nil) == (1000...4999).contains(number))
    }
    let literal: CloseCode = 4001
    #expect(literal == CloseCode(rawValue: 4001))
  }

  @Test func `only what RFC 6455 §7.4 defines or leaves to applications may be sent`() {
    let sendable = (1000...4999).filter { CloseCode(rawValue: $0)?.isSendable == true }
    #expect(sendable == Array(1000...1003) + Array(1007...1014) + Array(3000...4999))
    #expect((1000...4999).filter { CloseCode(rawValue: $0)?.isApplicationDefined == true } == Array(4000...4999))
  }

  @Test func `close codes describe themselves`() {
    let named: [CloseCode] = [
      .normalClosure, .goingAway, .protocolError, .unsupportedData, .noStatusReceived, .abnormalClosure,
      .invalidFramePayloadData, .policyViolation, .messageTooBig, .mandatoryExtension, .internalError, .serviceRestart,
      .tryAgainLater, .badGateway, .tlsHandshakeFailed, 1004, 4000,
    ]
    #expect(
      named.map(\.description) == [
        "1000 (normal closure)", "1001 (going away)", "1002 (protocol error)", "1003 (unsupported data)",
        "1005 (no status received)", "1006 (abnormal closure)", "1007 (invalid frame payload data)",
        "1008 (policy violation)", "1009 (message too big)", "1010 (mandatory extension)", "1011 (internal error)",
        "1012 (service restart)", "1013 (try again later)", "1014 (bad gateway)", "1015 (TLS handshake failed)", "1004",
        "4000",
      ])
  }
}

@Suite struct ClosePayloadTests {
  private func decoded(_ bytes: [UInt8]) throws(ProtocolViolation) -> ClosePayload {
    try withBytes(of: bytes) { bytes throws(ProtocolViolation) in try ClosePayload(decoding: bytes) }
  }

  @Test func `a close payload comes back as it was written`() throws {
    for payload in [
      ClosePayload.empty, try ClosePayload(.normalClosure), try ClosePayload(4001, reason: "größer"),
      try ClosePayload(.goingAway, reason: String(repeating: "a", count: 123)),
    ] {
      #expect(try decoded(payload.withUnsafeBytes { Array($0) }) == payload)
    }
    #expect(try ClosePayload(.goingAway, reason: "x").withUnsafeBytes { Array($0) } == [0x03, 0xE9, 0x78])
    #expect(try ClosePayload(nil) == .empty)
  }

  @Test func `what may not be on the wire cannot be made`() {
    #expect(throws: ClosePayload.EncodingError.codeNotSendable(.abnormalClosure)) {
      try ClosePayload(.abnormalClosure)
    }
    #expect(throws: ClosePayload.EncodingError.reasonWithoutCode) { try ClosePayload(nil, reason: "why") }
    #expect(throws: ClosePayload.EncodingError.reasonTooLong(byteCount: 124)) {
      try ClosePayload(.normalClosure, reason: String(repeating: "é", count: 62))
    }
    #expect(
      [
        ClosePayload.EncodingError.codeNotSendable(.noStatusReceived), .reasonWithoutCode,
        .reasonTooLong(byteCount: 200),
      ].map(\.description) == [
        "a Close frame cannot carry the code 1005 (no status received) (RFC 6455 §7.4)",
        "a Close frame with a reason needs a code (RFC 6455 §5.5.1)",
        "the reason of a Close frame has at most 123 bytes, not 200 (RFC 6455 §5.5)",
      ])
  }

  @Test func `a reason is shortened to whole characters`() {
    let long = String(repeating: "a", count: 122) + "€uro"
    #expect(ClosePayload.shortened(long) == String(repeating: "a", count: 122))
    #expect(ClosePayload.shortened("short") == "short")
  }

  @Test func `every violation fits into a close frame and says where the rule is`() {
    let rules: [ProtocolViolation.Rule] = [
      .reservedBits(0x70), .reservedOpcode(15), .maskedFrameFromServer, .unmaskedFrameFromClient, .lengthNotMinimal(7),
      .lengthWithHighestBit, .fragmentedControlFrame(.ping), .oversizedControlFrame(.connectionClose),
      .continuationWithoutMessage, .messageInsideMessage(.binary), .frameTooLarge(length: .max, limit: .max),
      .messageTooLarge(limit: .max), .tooManyFragments(limit: .max), .invalidUTF8(offset: .max),
      .textEndsInsideCharacter,
      .closePayloadOfOneByte, .invalidCloseCode(65_535), .closeReasonNotUTF8, .compressedBitInsideMessage,
      .compressedControlFrame(.pong), .corruptCompressedData("invalid distance too far back"),
    ]
    for rule in rules {
      let violation = ProtocolViolation(rule)
      let payload = ClosePayload(violation)
      #expect(payload.reason == violation.summary, "the summary is too long")
      #expect(payload.code?.isSendable == true)
      #expect(violation.clause.hasPrefix("RFC "))
      #expect("\(violation)" == "\(violation.summary) (\(violation.clause), closes with \(violation.closeCode))")
    }
    #expect(
      rules.map { ProtocolViolation($0).closeCode.rawValue } == [
        1002, 1002, 1002, 1002, 1002, 1002, 1002, 1002, 1002, 1002, 1009, 1009, 1008, 1007, 1007, 1002, 1002, 1007,
        1002,
        1002, 1007,
      ])
  }
}
