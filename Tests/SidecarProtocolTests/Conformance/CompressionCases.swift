import SidecarProtocol

/// The payload of a frame with RSV1, as a peer in `role` compresses it.
func compressed(
  _ bytes: [UInt8], _ agreement: PermessageDeflate.Agreement = .init(), role: Role = .server
) -> [UInt8] {
  var deflater = Deflater(agreement, role: role)
  var buffer = ByteBuffer()
  bytes.withUnsafeBytes { deflater.compress($0, into: &buffer) }
  return Array(buffer.bytes)
}

private let agreed = PermessageDeflate.Agreement()
private let hello: [UInt8] = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]
private let zeros = [UInt8](repeating: 0, count: 1 << 20)

// First bytes of frames: FIN, RSV1 and the opcode.
private let finText: UInt8 = 0xC1
private let finBinary: UInt8 = 0xC2
private let text: UInt8 = 0x41
private let continuation: UInt8 = 0x00
private let finContinuation: UInt8 = 0x80

extension ConformanceCase {
  /// RFC 7692 §6 and §7.2.
  static let compression: [ConformanceCase] =
    examples + compressedFragments + corruptData + inflatedText + bombs

  /// RFC 7692 §7.2.3: the examples, and what lies near them.
  private static let examples = [
    ConformanceCase("compressed in one frame", deflate: agreed, frame(finText, hello)),
    ConformanceCase(
      "compressed in two fragments", deflate: agreed,
      frame(text, Array(hello[..<3])) + frame(finContinuation, Array(hello[3...]))),
    ConformanceCase(
      "compressed with the window of the message before", deflate: agreed,
      frame(finText, hello) + frame(finText, [0xF2, 0x00, 0x11, 0x00, 0x00])),
    ConformanceCase(
      "not compressed, in a stored block", deflate: agreed,
      frame(finText, [0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00])),
    ConformanceCase(
      "compressed in a final block, twice", deflate: agreed,
      frame(finText, [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00])
        + frame(finText, [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00])),
    ConformanceCase(
      "compressed in a final block without the byte after it, twice", deflate: agreed,
      frame(finText, [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00])
        + frame(finText, [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00])),
    ConformanceCase(
      "the window outlives a final block", deflate: agreed,
      frame(finText, [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00])
        + frame(finText, [0xF2, 0x00, 0x11, 0x00, 0x00])),
    ConformanceCase(
      "compressed in two blocks", deflate: agreed,
      frame(finText, [0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00])),
    ConformanceCase("compressed to nothing", deflate: agreed, frame(finText, [0x00]) + frame(finText, hello)),
    ConformanceCase("compressed without a byte", deflate: agreed, frame(finText) + frame(finText, hello)),
    ConformanceCase(
      "compressed without a byte, which leaves the window as it was", deflate: agreed,
      frame(finText, hello) + frame(finText) + frame(text) + frame(continuation) + frame(finContinuation)
        + frame(finText, [0xF2, 0x00, 0x11, 0x00, 0x00])),
    ConformanceCase(
      "compressed without a byte, and without context takeover", deflate: .init(serverNoContextTakeover: true),
      frame(finText, hello) + frame(finText) + frame(finText, hello)),
    ConformanceCase(
      "compressed and not, by turns", deflate: agreed,
      frame(finText, hello) + frame(0x81, utf8("plain")) + frame(finText, [0xF2, 0x00, 0x11, 0x00, 0x00])
        + frame(0x82, noise(3))),
    ConformanceCase(
      "compressed and masked", role: .server, deflate: agreed, frame(finText, hello, key: 0x0BAD_CAFE)),
    ConformanceCase(
      "compressed without context takeover, twice", deflate: .init(serverNoContextTakeover: true),
      frame(finText, hello) + frame(finText, hello)),
    ConformanceCase(
      "compressed with the window of the message before, which is not kept",
      deflate: .init(serverNoContextTakeover: true),
      frame(finText, hello) + frame(finText, [0xF2, 0x00, 0x11, 0x00, 0x00])),
    ConformanceCase(
      "compressed by the client with context takeover, which only the server does without", role: .server,
      deflate: .init(serverNoContextTakeover: true),
      frame(finText, hello, key: 1) + frame(finText, [0xF2, 0x00, 0x11, 0x00, 0x00], key: 2)),
    ConformanceCase(
      "a large message", deflate: agreed, frame(finBinary, compressed(noise(70_000) + noise(70_000)))),
    ConformanceCase(
      "a large message of one letter", deflate: agreed,
      frame(finText, compressed([UInt8](repeating: 0x61, count: 300_000)))),
  ]

  /// RFC 7692 §6.1, §6.2.
  private static let compressedFragments = [
    ConformanceCase(
      "empty fragments of compressed text", deflate: agreed,
      frame(text) + frame(continuation, Array(hello[..<1])) + frame(continuation)
        + frame(continuation, Array(hello[1...])) + frame(finContinuation)),
    ConformanceCase(
      "a ping between compressed fragments", deflate: agreed,
      frame(text, Array(hello[..<3])) + frame(0x89, utf8("?")) + frame(finContinuation, Array(hello[3...]))),
    ConformanceCase(
      "RSV1 on a continuation", deflate: agreed,
      frame(text, Array(hello[..<3])) + frame(finContinuation | 0x40, Array(hello[3...]))),
    ConformanceCase(
      "RSV1 on a continuation of a message that is not compressed", deflate: agreed,
      frame(0x01, utf8("Hel")) + frame(finContinuation | 0x40, utf8("lo"))),
    ConformanceCase("RSV1 on a continuation of nothing", deflate: agreed, frame(finContinuation | 0x40, hello)),
    ConformanceCase(
      "a compressed message inside a compressed message", deflate: agreed,
      frame(text, Array(hello[..<3])) + frame(finText, hello)),
    ConformanceCase(
      "a message inside a compressed message", deflate: agreed, frame(text, Array(hello[..<3])) + frame(0x81)),
    ConformanceCase(
      "every control frame between compressed fragments", deflate: agreed,
      frame(text, Array(hello[..<3])) + frame(0x89, utf8("a")) + frame(continuation, Array(hello[3..<5]))
        + frame(0x8A, utf8("b")) + frame(finContinuation, Array(hello[5...])) + frame(0x88, [0x03, 0xE8])),
    ConformanceCase(
      "close inside a compressed message", deflate: agreed, frame(text, Array(hello[..<3])) + frame(0x88)),
    ConformanceCase("RSV1 on a pong", deflate: agreed, frame(0x8A | 0x40)),
    ConformanceCase("RSV3 where RSV1 is agreed on", deflate: agreed, frame(0x81 | 0x10)),
    ConformanceCase("RSV1 on a ping", deflate: agreed, frame(0x89 | 0x40)),
    ConformanceCase("RSV1 on a close", deflate: agreed, frame(0x88 | 0x40, [0x03, 0xE8])),
    ConformanceCase("RSV2 where RSV1 is agreed on", deflate: agreed, frame(0x81 | 0x20)),
    ConformanceCase("RSV1 and RSV2 where RSV1 is agreed on", deflate: agreed, frame(finText | 0x20, hello)),
    ConformanceCase("compressed where nothing is agreed on", frame(finText, hello)),
    ConformanceCase("a compressed message without its end", deflate: agreed, frame(text, hello)),
  ]

  private static let corruptData = [
    ConformanceCase("an invalid block type", deflate: agreed, frame(finText, [0x06]) + frame(finText, hello)),
    ConformanceCase(
      "invalid stored lengths", deflate: agreed, frame(finText, [0x00, 0x05, 0x00, 0x05, 0x00, 0x61])),
    ConformanceCase(
      "a distance beyond the beginning", deflate: agreed, frame(finText, [0xF2, 0x00, 0x11, 0x00, 0x00])),
    ConformanceCase("data that ends inside a block", deflate: agreed, frame(finText, Array(hello.dropLast(3)))),
    ConformanceCase(
      "a final block that only the tail completes", deflate: agreed, frame(finText, [0x01]) + frame(finText, hello)),
    ConformanceCase(
      "a final block that a part of the tail completes", deflate: agreed,
      frame(finText, [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07]) + frame(finText, hello)),
    ConformanceCase(
      "data with the tail that belongs off it", deflate: agreed, frame(finText, hello + [0x00, 0x00, 0xFF, 0xFF])),
    ConformanceCase(
      "an error after a final block", deflate: agreed,
      frame(finText, [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x06])),
    ConformanceCase("noise", deflate: agreed, frame(finBinary, noise(300))),
  ]

  /// RFC 6455 §8.1, of what compressed text comes to.
  private static let inflatedText =
    [
      ("characters of every size", utf8("a é € 😀, repeated: a é € 😀")),
      ("an error", utf8("good ") + [0xFF] + utf8(" bad")),
      ("a character cut at the end", utf8("good ") + [0xE2, 0x82]),
      ("an error and then much more", [0xC0] + zeros),
    ].map { ConformanceCase("compressed text with \($0.0)", deflate: agreed, frame(finText, compressed($0.1))) }
    + [
      ConformanceCase(
        "compressed text with an error in front of corrupt data", deflate: agreed,
        frame(finText, [0x00, 0x01, 0x00, 0xFE, 0xFF, 0xC0] + [0x06]))
    ]

  /// RFC 6455 §10.4.
  private static let bombs =
    [
      ("at the limit", 10_000), ("one byte over the limit", 9_999), ("far over the limit", 100), ("where none fits", 0),
    ].map {
      ConformanceCase(
        "a compressed message \($0.0)", limits: .init(maximumMessageSize: $0.1, maximumFrameSize: 100_000),
        deflate: agreed, frame(finBinary, compressed(Array(zeros.prefix(10_000)))))
    }
    + [
      ConformanceCase(
        "a bomb", limits: .init(maximumMessageSize: 10_000), deflate: agreed, frame(finText, compressed(zeros))),
      ConformanceCase(
        "a compressed message whose frame is too large", limits: .init(maximumMessageSize: 100), deflate: agreed,
        frame(finBinary, compressed(noise(101)))),
      ConformanceCase(
        "a compressed message over the limit in front of corrupt data",
        limits: .init(maximumMessageSize: 4, maximumFrameSize: 100), deflate: agreed,
        frame(finBinary, [0x00, 0x05, 0x00, 0xFA, 0xFF] + utf8("Hello") + [0x06])),
      ConformanceCase(
        "a compressed empty message where none fits", limits: .init(maximumMessageSize: 0, maximumFrameSize: 1),
        deflate: agreed, frame(finBinary, [0x00])),
    ]
}
