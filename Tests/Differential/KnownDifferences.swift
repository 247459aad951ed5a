import SidecarProtocol

/// The independent parsers.
enum Parser: String, CaseIterable {
  case wsproto
  case websockets
}

/// Where two parsers part: the first event that is not the same in both, if one of them has one.
struct Divergence {
  let parser: Parser
  let conversation: Conversation
  let ours: Event?
  /// The rule, if ours is a violation.
  let rule: ProtocolViolation.Rule?
  let theirs: Event?
  /// Whether the other parser's inflater has met a block that says it is the last.
  let sawFinalBlock: Bool

  var theirCode: UInt16? {
    if case .violation(let code) = theirs { code } else { nil }
  }
}

/// A difference that is understood, and why this library is on the side it is on.
///
/// Anything that none of these explains fails the test.
struct KnownDifference: Sendable {
  let name: String
  let parsers: Set<Parser>
  let reason: String
  let explains: @Sendable (Divergence) -> Bool

  static let all: [KnownDifference] = [
    KnownDifference(
      name: "no limits", parsers: [.wsproto],
      reason: "wsproto leaves the sizes of frames and messages to its user; RFC 6455 §10.4 asks for limits",
      explains: { $0.rule?.isLimit == true }),
    KnownDifference(
      name: "judged before the header is complete", parsers: [.wsproto],
      reason: "what the first two bytes break is judged when they are there; wsproto waits for the length behind them",
      explains: { $0.conversation.isCut && $0.rule?.isOfHeader == true && $0.theirs == nil }),
    KnownDifference(
      name: "a control frame ends decompression", parsers: [.wsproto],
      reason: "wsproto forgets that a message is compressed when a control frame stands between its fragments, which "
        + "RFC 7692 §6.1 allows",
      explains: { $0.conversation.hasControlInsideCompressed }),
    KnownDifference(
      name: "close code 1014", parsers: [.wsproto],
      reason: "1014 has been in the registry of RFC 6455 §11.7 for years; wsproto does not know it",
      explains: { ($0.ours?.closeCode == 1014 || $0.rule == .closeReasonNotUTF8) && $0.theirCode == 1002 }),
    KnownDifference(
      name: "inflated before the order of frames is checked", parsers: [.wsproto],
      reason:
        "a new message inside another is refused by its header; wsproto inflates its payload first, as a part of the "
        + "other, and says that it does not inflate",
      explains: {
        if case .messageInsideMessage = $0.rule {
          $0.conversation.deflate != nil && $0.theirCode == 1007
        } else {
          false
        }
      }),
    KnownDifference(
      name: "compressed data that is cut off", parsers: [.wsproto, .websockets],
      reason: "data that ends inside a block is not what RFC 7692 §7.2.1 makes; the others take what there is",
      explains: { $0.rule?.isUnfinishedBlock == true }),
    KnownDifference(
      name: "data behind a final block", parsers: [.wsproto, .websockets],
      reason: "RFC 7692 §7.2.3.4 lets a message go on behind a final block; Python's inflater ends there, for good",
      explains: { $0.sawFinalBlock }),
    KnownDifference(
      name: "a compressed message without a byte", parsers: [.wsproto, .websockets],
      reason:
        "an empty message is compressed to one byte (RFC 7692 §7.2.3.6); none at all can mean nothing else, and is "
        + "taken for it; the others' inflaters lose their place",
      explains: { $0.conversation.hasEmptyCompressed }),

    KnownDifference(
      name: "length not in the shortest form", parsers: [.websockets],
      reason: "RFC 6455 §5.2 demands the shortest form; websockets takes any",
      explains: {
        switch $0.rule {
        // A control frame's length has no longer form.
        case .lengthNotMinimal, .oversizedControlFrame: $0.theirCode != 1009
        default: false
        }
      }),
    KnownDifference(
      name: "size judged first", parsers: [.websockets],
      reason:
        "a header that is wrong and announces too much is wrong; websockets looks at the size first, and says 1009",
      explains: { $0.rule?.isOfHeader == true && $0.theirCode == 1009 }),
    KnownDifference(
      name: "size judged before the mask", parsers: [.websockets],
      reason: "a header is judged as a whole; where the stream ends before the mask, websockets has said 1009 already",
      explains: { $0.conversation.isCut && $0.conversation.role == .server && $0.ours == nil && $0.theirCode == 1009 }),
    KnownDifference(
      name: "judged before the frame is complete", parsers: [.websockets],
      reason: "what a header or the beginning of a payload breaks is judged when it is there; websockets waits for the "
        + "whole frame",
      explains: { $0.rule != nil && $0.theirs == nil }),
    KnownDifference(
      name: "text judged at the end of the message", parsers: [.websockets],
      reason:
        "text fails at the first byte that cannot be valid (RFC 6455 §8.1); websockets' core leaves it to the layer "
        + "above, which sees whole messages",
      explains: { if case .invalidUTF8 = $0.rule { true } else { false } }),
    KnownDifference(
      name: "Close inside a message", parsers: [.websockets],
      reason: "control frames may stand between fragments (RFC 6455 §5.4), and Close is one; websockets says 1002",
      explains: { if case .close = $0.ours { $0.theirCode == 1002 } else { false } }),
    KnownDifference(
      name: "code for data that does not inflate", parsers: [.websockets],
      reason: "RFC 7692 names no code; 1007 says that the payload is not what it should be, websockets says 1002",
      explains: { if case .corruptCompressedData = $0.rule { $0.theirCode == 1002 } else { false } }),
    KnownDifference(
      name: "reason judged before the code", parsers: [.websockets],
      reason: "a Close frame with an invalid code and an invalid reason breaks two rules; which is named is a choice",
      explains: { if case .invalidCloseCode = $0.rule { $0.theirCode == 1007 } else { false } }),
    KnownDifference(
      name: "compressed size counted against the message", parsers: [.websockets],
      reason:
        "the limit is on what a message comes to; websockets also holds the compressed frame against what is left",
      explains: { $0.conversation.deflate != nil && $0.theirCode == 1009 }),
    KnownDifference(
      name: "control frames held against the limit", parsers: [.websockets],
      reason: "control frames have a limit of their own, 125 bytes (RFC 6455 §5.5), and are no part of a message",
      explains: {
        switch $0.ours {
        case .ping, .pong, .close: $0.theirCode == 1009
        default: false
        }
      }),
  ]
}

extension Event {
  fileprivate var closeCode: Int? {
    guard case .close(let payload) = self, payload.count >= 2 else { return nil }
    return Int(payload[0]) << 8 | Int(payload[1])
  }
}

extension ProtocolViolation.Rule {
  fileprivate var isLimit: Bool {
    switch self {
    case .frameTooLarge, .messageTooLarge, .tooManyFragments: true
    default: false
    }
  }

  /// Whether a header alone breaks it.
  fileprivate var isOfHeader: Bool {
    switch self {
    case .reservedBits, .reservedOpcode, .maskedFrameFromServer, .unmaskedFrameFromClient, .lengthNotMinimal,
      .lengthWithHighestBit, .fragmentedControlFrame, .oversizedControlFrame, .continuationWithoutMessage,
      .messageInsideMessage, .compressedBitInsideMessage, .compressedControlFrame:
      true
    default: false
    }
  }

  fileprivate var isUnfinishedBlock: Bool { self == .corruptCompressedData("it ends inside a block") }
}
