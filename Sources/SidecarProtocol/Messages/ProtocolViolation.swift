/// What a peer did that the protocol, or a limit, does not allow.
///
/// It ends the connection: the receiver that reported it discards what comes after, and the endpoint sends a Close
/// frame with `closeCode` (RFC 6455 §7.1.7).
@usableFromInline
package struct ProtocolViolation: Error, Hashable, Sendable {
  /// The rules, each with what the peer sent instead.
  package enum Rule: Hashable, Sendable {
    // Framing.
    case reservedBits(UInt8)
    case reservedOpcode(UInt8)
    case maskedFrameFromServer
    case unmaskedFrameFromClient
    case lengthNotMinimal(UInt64)
    case lengthWithHighestBit
    case fragmentedControlFrame(Opcode)
    case oversizedControlFrame(Opcode)

    // Fragmentation.
    case continuationWithoutMessage
    case messageInsideMessage(Opcode)

    // Limits.
    case frameTooLarge(length: UInt64, limit: Int)
    case messageTooLarge(limit: Int)
    case tooManyFragments(limit: Int)

    // Text.
    case invalidUTF8(offset: Int)
    case textEndsInsideCharacter

    // Close.
    case closePayloadOfOneByte
    case invalidCloseCode(UInt16)
    case closeReasonNotUTF8

    // Compression.
    case compressedBitInsideMessage
    case compressedControlFrame(Opcode)
    case corruptCompressedData(String)
  }

  package let rule: Rule

  package init(_ rule: Rule) {
    self.rule = rule
  }

  /// What the Close frame says that answers the violation.
  package var closeCode: CloseCode {
    switch rule {
    case .frameTooLarge, .messageTooLarge: .messageTooBig
    // No code is about the number of fragments. The limit is the receiver's policy.
    case .tooManyFragments: .policyViolation
    // RFC 7692 names no code for data that does not inflate. It is data inconsistent with the message's type in the
    // sense of RFC 6455 §7.4.1, and 1007 is what the field's servers send.
    case .invalidUTF8, .textEndsInsideCharacter, .closeReasonNotUTF8, .corruptCompressedData: .invalidFramePayloadData
    default: .protocolError
    }
  }

  /// True if the peer kept to the protocol, and what it sent is over a limit that this endpoint has set for itself.
  package var isOwnLimit: Bool {
    switch rule {
    case .frameTooLarge, .messageTooLarge, .tooManyFragments: true
    default: false
    }
  }

  /// Where the rule is written.
  package var clause: String {
    switch rule {
    case .reservedBits, .reservedOpcode, .lengthNotMinimal, .lengthWithHighestBit: "RFC 6455 §5.2"
    case .maskedFrameFromServer, .unmaskedFrameFromClient: "RFC 6455 §5.1"
    case .fragmentedControlFrame, .oversizedControlFrame: "RFC 6455 §5.5"
    case .continuationWithoutMessage, .messageInsideMessage: "RFC 6455 §5.4"
    case .frameTooLarge, .messageTooLarge, .tooManyFragments: "RFC 6455 §10.4"
    case .invalidUTF8, .textEndsInsideCharacter: "RFC 6455 §8.1"
    case .closePayloadOfOneByte, .closeReasonNotUTF8: "RFC 6455 §5.5.1"
    case .invalidCloseCode: "RFC 6455 §7.4"
    case .compressedBitInsideMessage, .compressedControlFrame: "RFC 7692 §6.1"
    case .corruptCompressedData: "RFC 7692 §7.2.2"
    }
  }

  /// What the peer did, in words that fit the reason of a Close frame (at most 123 bytes).
  package var summary: String {
    switch rule {
    case .reservedBits(let bits): "reserved bits set: \(Self.names(ofReservedBits: bits))"
    case .reservedOpcode(let opcode): "reserved opcode \(opcode)"
    case .maskedFrameFromServer: "masked frame from a server"
    case .unmaskedFrameFromClient: "unmasked frame from a client"
    case .lengthNotMinimal(let length): "payload length \(length) not in the shortest form"
    case .lengthWithHighestBit: "payload length with the highest bit set"
    case .fragmentedControlFrame(let opcode): "fragmented \(opcode) frame"
    case .oversizedControlFrame(let opcode): "\(opcode) frame with a payload of more than 125 bytes"
    case .continuationWithoutMessage: "continuation frame without a message to continue"
    case .messageInsideMessage(let opcode): "\(opcode) frame inside a fragmented message"
    case .frameTooLarge(let length, let limit): "frame of \(length) bytes, the limit is \(limit)"
    case .messageTooLarge(let limit): "message larger than the limit of \(limit) bytes"
    case .tooManyFragments(let limit): "message of more than \(limit) fragments"
    case .invalidUTF8(let offset): "text is not UTF-8 at byte \(offset)"
    case .textEndsInsideCharacter: "text ends inside a character"
    case .closePayloadOfOneByte: "close frame with a payload of one byte"
    case .invalidCloseCode(let code): "close frame with the invalid code \(code)"
    case .closeReasonNotUTF8: "close frame with a reason that is not UTF-8"
    case .compressedBitInsideMessage: "RSV1 set on a continuation frame"
    case .compressedControlFrame(let opcode): "RSV1 set on a \(opcode) frame"
    case .corruptCompressedData(let detail): "compressed data does not inflate: \(detail)"
    }
  }

  private static func names(ofReservedBits bits: UInt8) -> String {
    [(0b0100_0000, "RSV1"), (0b0010_0000, "RSV2"), (0b0001_0000, "RSV3")]
      .filter { bits & $0.0 != 0 }.map(\.1).joined(separator: ", ")
  }
}

extension ProtocolViolation: CustomStringConvertible {
  @usableFromInline package var description: String { "\(summary) (\(clause), closes with \(closeCode))" }
}
