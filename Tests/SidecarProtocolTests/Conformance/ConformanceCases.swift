import SidecarProtocol

/// What a peer sends, to be received whole and in pieces of every size.
struct ConformanceCase: Sendable, CustomStringConvertible {
  let name: String
  var role = Role.client
  var limits = ProtocolLimits()
  var deflate: PermessageDeflate.Agreement?
  let bytes: [UInt8]

  var description: String { name }

  init(
    _ name: String, role: Role = .client, limits: ProtocolLimits = ProtocolLimits(),
    deflate: PermessageDeflate.Agreement? = nil, _ bytes: [UInt8]
  ) {
    self.name = name
    self.role = role
    self.limits = limits
    self.deflate = deflate
    self.bytes = bytes
  }
}

// First bytes of frames: FIN and the opcode.
private let finText: UInt8 = 0x81
private let finBinary: UInt8 = 0x82
private let text: UInt8 = 0x01
private let binary: UInt8 = 0x02
private let continuation: UInt8 = 0x00
private let finContinuation: UInt8 = 0x80
private let close: UInt8 = 0x88
private let ping: UInt8 = 0x89
private let pong: UInt8 = 0x8A

extension ConformanceCase {
  static let all =
    frameExamples + framing + controlFrames + fragmentation + unicode + closing + limitCases + masking + compression

  /// RFC 6455 §5.7, byte by byte as they stand there.
  static let frameExamples: [ConformanceCase] = [
    ConformanceCase("the example of an unmasked text message", [0x81, 0x05, 0x48, 0x65, 0x6C, 0x6C, 0x6F]),
    ConformanceCase(
      "the example of a masked text message", role: .server,
      [0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58]),
    ConformanceCase(
      "the example of a fragmented text message", [0x01, 0x03, 0x48, 0x65, 0x6C] + [0x80, 0x02, 0x6C, 0x6F]),
    ConformanceCase("the example of a ping", [0x89, 0x05, 0x48, 0x65, 0x6C, 0x6C, 0x6F]),
    ConformanceCase(
      "the example of a masked pong", role: .server,
      [0x8A, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58]),
    ConformanceCase("the example of 256 bytes", [0x82, 0x7E, 0x01, 0x00] + noise(256)),
    ConformanceCase("the example of 64 KiB", [0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0] + noise(65_536)),
  ]

  /// RFC 6455 §5.2.
  static let framing: [ConformanceCase] =
    [0, 1, 2, 125, 126, 127, 128, 200, 65_535, 65_536].map {
      ConformanceCase("binary message of \($0) bytes", frame(finBinary, noise($0)))
    }
    + [0, 1, 8, 125, 126, 4000, 65_536].map {
      ConformanceCase("text message of \($0) bytes", frame(finText, [UInt8](repeating: 0x61, count: $0)))
    }
    + [0x40, 0x20, 0x10, 0x60, 0x30, 0x70].flatMap { (bits: UInt8) in
      [
        ConformanceCase("reserved bits \(bits >> 4) on a text frame", frame(finText | bits, utf8("Hello"))),
        ConformanceCase("reserved bits \(bits >> 4) on a ping", frame(ping | bits)),
        ConformanceCase(
          "reserved bits \(bits >> 4) after a message", frame(finText, utf8("one")) + frame(finText | bits)),
      ]
    }
    + [3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map { (opcode: UInt8) in
      ConformanceCase("reserved opcode \(opcode)", frame(0x80 | opcode, utf8("x")) + frame(finText, utf8("not this")))
    }
    + [3, 7, 11, 15].flatMap { (opcode: UInt8) in
      [
        ConformanceCase("reserved opcode \(opcode) on a fragment", frame(opcode, utf8("x"))),
        ConformanceCase("reserved opcode \(opcode) inside a message", frame(text, utf8("Hel")) + frame(0x80 | opcode)),
      ]
    }
    + [0x40, 0x20, 0x10].flatMap { (bits: UInt8) in
      [
        ConformanceCase(
          "reserved bits \(bits >> 4) on a continuation", frame(text, utf8("Hel")) + frame(finContinuation | bits)),
        ConformanceCase("reserved bits \(bits >> 4) on a close", frame(close | bits, [0x03, 0xE8])),
        ConformanceCase("reserved bits \(bits >> 4) on a pong", frame(pong | bits)),
      ]
    }
    + [
      ConformanceCase("length 126 in eight bytes", frame(finBinary, noise(126), length: .eightBytes)),
      ConformanceCase("length 0 in two bytes, masked", role: .server, frame(finBinary, length: .twoBytes, key: 1)),
      ConformanceCase(
        "a continuation's length in two bytes", frame(binary) + frame(finContinuation, noise(5), length: .twoBytes)),
      ConformanceCase("length 0 in two bytes", frame(finBinary, length: .twoBytes)),
      ConformanceCase("length 125 in two bytes", frame(finBinary, noise(125), length: .twoBytes)),
      ConformanceCase("length 126 in two bytes", frame(finBinary, noise(126), length: .twoBytes)),
      ConformanceCase("length 125 in eight bytes", frame(finBinary, noise(125), length: .eightBytes)),
      ConformanceCase("length 65535 in eight bytes", frame(finBinary, noise(65_535), length: .eightBytes)),
      ConformanceCase("length with the highest bit set", frame(finBinary, length: .announced(1 << 63))),
      ConformanceCase("length of all ones", frame(finBinary, length: .announced(.max))),
      ConformanceCase("length of the largest integer", frame(finBinary, length: .announced(UInt64(Int64.max)))),
      ConformanceCase("three messages in a row", (1...3).flatMap { frame(finText, utf8("message \($0)")) }),
      ConformanceCase("nothing at all", []),
      ConformanceCase("the first byte of a header", [finText]),
      ConformanceCase("a header without its length", [finText, 126]),
      ConformanceCase("a header without its length, with a reserved opcode", [0x87, 126]),
      ConformanceCase("a header without its length, masked", [finText, 0xFF]),
      ConformanceCase("a header without the end of its length", [finText, 127, 0, 0, 0, 0, 0]),
      ConformanceCase("a header without its payload", [finText, 5]),
      ConformanceCase("a payload without its end", [finText, 5] + utf8("Hell")),
      ConformanceCase("a large payload without its end", Array(frame(finBinary, noise(70_000)).dropLast(1000))),
    ]

  /// RFC 6455 §5.5.
  static let controlFrames: [ConformanceCase] =
    [0, 1, 124, 125].flatMap {
      [
        ConformanceCase("ping of \($0) bytes", frame(ping, noise($0))),
        ConformanceCase("pong of \($0) bytes", frame(pong, noise($0))),
      ]
    }
    + [
      ConformanceCase("ping of 126 bytes", frame(ping, noise(126))),
      ConformanceCase("ping with a length of two bytes that is still to come", [ping, 126]),
      ConformanceCase("ping with a length of two bytes", frame(ping, noise(3), length: .twoBytes)),
      ConformanceCase("pong of 126 bytes", frame(pong, noise(126))),
      ConformanceCase("ping of 126 bytes inside a message", frame(text, utf8("Hel")) + frame(ping, noise(126))),
      ConformanceCase(
        "fragmented ping inside a message",
        frame(text, utf8("Hel")) + frame(0x09, utf8("?")) + frame(finContinuation, utf8("lo"))),
      ConformanceCase("ping with a length of eight bytes", frame(ping, length: .eightBytes)),
      ConformanceCase("close of 126 bytes", frame(close, [0x03, 0xE8] + [UInt8](repeating: 0x61, count: 124))),
      ConformanceCase("fragmented ping", frame(0x09, utf8("half"))),
      ConformanceCase("fragmented pong", frame(0x0A)),
      ConformanceCase("fragmented close", frame(0x08, [0x03, 0xE8])),
      ConformanceCase("ten pings in a row", (0..<10).flatMap { frame(ping, utf8("ping \($0)")) }),
      ConformanceCase(
        "ping between messages", frame(finText, utf8("one")) + frame(ping, utf8("?")) + frame(finText, utf8("two"))),
    ]

  /// RFC 6455 §5.4.
  static let fragmentation: [ConformanceCase] = [
    ConformanceCase("text in two fragments", frame(text, utf8("Hel")) + frame(finContinuation, utf8("lo"))),
    ConformanceCase(
      "binary in four fragments",
      frame(binary, noise(3)) + frame(continuation, noise(70)) + frame(continuation, noise(300))
        + frame(finContinuation, noise(900))),
    ConformanceCase(
      "a large message in fragments of every size",
      frame(binary, noise(0)) + (1...60).flatMap { frame(continuation, noise($0 * 7)) } + frame(finContinuation)),
    ConformanceCase("empty fragments", frame(text) + frame(continuation) + frame(finContinuation)),
    ConformanceCase(
      "empty fragments around text", frame(text) + frame(continuation, utf8("x")) + frame(finContinuation)),
    ConformanceCase(
      "ping between fragments",
      frame(text, utf8("Hel")) + frame(ping, utf8("mid")) + frame(finContinuation, utf8("lo"))),
    ConformanceCase(
      "every control frame between fragments",
      frame(text, utf8("He")) + frame(ping, utf8("a")) + frame(continuation, utf8("ll")) + frame(pong, utf8("b"))
        + frame(close, [0x03, 0xE8]) + frame(finContinuation, utf8("o"))),
    ConformanceCase(
      "messages around a fragmented one",
      frame(finText, utf8("before")) + frame(text, utf8("in ")) + frame(finContinuation, utf8("two"))
        + frame(finBinary, noise(5))),
    ConformanceCase("continuation of nothing", frame(finContinuation, utf8("x"))),
    ConformanceCase("unfinished continuation of nothing", frame(continuation, utf8("x"))),
    ConformanceCase("continuation after a message", frame(finText, utf8("whole")) + frame(finContinuation)),
    ConformanceCase("text inside a message", frame(text, utf8("Hel")) + frame(finText, utf8("lo"))),
    ConformanceCase("fragmented binary inside a message", frame(text, utf8("Hel")) + frame(binary, utf8("lo"))),
    ConformanceCase("message without its last fragment", frame(text, utf8("Hel")) + frame(continuation, utf8("lo"))),
  ]

  /// RFC 6455 §8.1.
  static let unicode: [ConformanceCase] =
    [
      ("two-byte letters", utf8("Ελληνικά κείμενο, русский текст, טקסט")),
      ("three-byte letters", utf8("日本語のテキスト、中文文本、한국어 텍스트")),
      ("four-byte letters", utf8("😀😃😄 𝒳𝒴𝒵 end")),
      ("the last code point", [0xF4, 0x8F, 0xBF, 0xBF]),
      ("the code points around the surrogates", [0xED, 0x9F, 0xBF, 0xEE, 0x80, 0x80]),
      ("a NUL", [0x00]),
    ].map { ConformanceCase("text with \($0.0)", frame(finText, $0.1)) }
    + [
      ("a lone continuation byte", [0x61, 0x80, 0x61]),
      ("a byte that never occurs", [0x61, 0xFF]),
      ("an overlong slash in two bytes", [0xC0, 0xAF]),
      ("an overlong slash in three bytes", [0xE0, 0x80, 0xAF]),
      ("an overlong slash in four bytes", [0xF0, 0x80, 0x80, 0xAF]),
      ("a surrogate", [0x61, 0xED, 0xA0, 0x80]),
      ("a code point beyond the last", [0xF4, 0x90, 0x80, 0x80]),
      ("a lead byte beyond the last", [0xF5, 0x80, 0x80, 0x80]),
      ("a character without its end", [0x61, 0xE2, 0x82]),
      ("a character interrupted by a letter", [0xE2, 0x82, 0x61]),
      ("an error far in", [UInt8](repeating: 0x61, count: 300) + [0xFF] + [UInt8](repeating: 0x61, count: 300)),
      ("an error after pairs", utf8("русский текст") + [0xD1, 0x61]),
      ("an overlong pair among pairs", utf8("русс") + [0xC1, 0xBF] + utf8("кий")),
    ].flatMap { (name, bytes: [UInt8]) in
      [
        ConformanceCase("text with \(name)", frame(finText, bytes) + frame(finText, utf8("not this"))),
        ConformanceCase(
          "fragmented text with \(name)",
          frame(text, utf8("ok")) + frame(continuation, Array(bytes.prefix(1)))
            + frame(finContinuation, Array(bytes.dropFirst()))),
      ]
    }
    + [
      ConformanceCase(
        "a character cut by fragments",
        frame(text, [0xF0]) + frame(continuation, [0x9F]) + frame(continuation) + frame(continuation, [0x98])
          + frame(finContinuation, [0x80])),
      ConformanceCase("an error in a fragment that is not complete", [text, 100, 0x61, 0xFF]),
      ConformanceCase(
        "an error in a large frame that is not complete", [finText, 126, 0xFF, 0xFF] + [0x61, 0xC0, 0x61]),
      ConformanceCase("binary that is no text", frame(finBinary, [0xFF, 0xC0, 0x80])),
    ]

  /// RFC 6455 §5.5.1 and §7.4.
  static let closing: [ConformanceCase] =
    [
      1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999,  // sendable
      0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535,
    ].map { (code: UInt64) in ConformanceCase("close with \(code)", frame(close, Array(bigEndian(code).suffix(2)))) }
    + [
      ConformanceCase("close without payload", frame(close)),
      ConformanceCase("close with one byte", frame(close, [0x03])),
      ConformanceCase("close with a reason", frame(close, [0x03, 0xE8] + utf8("bye"))),
      ConformanceCase(
        "close with the longest reason", frame(close, [0x03, 0xE8] + [UInt8](repeating: 0x61, count: 123))),
      ConformanceCase("close with a reason that is not UTF-8", frame(close, [0x03, 0xE8, 0xFF])),
      ConformanceCase("close with a reason cut inside a character", frame(close, [0x03, 0xE8, 0x61, 0xC3])),
      ConformanceCase("everything after a close is discarded", frame(close, [0x03, 0xE8]) + frame(finText | 0x70)),
      ConformanceCase("a second close after a close", frame(close, [0x03, 0xE8]) + frame(close, [0x03, 0xE9])),
      ConformanceCase("close with a reason of characters", frame(close, [0x0F, 0xA0] + utf8("größer 日本 😀"))),
      ConformanceCase("close with an overlong reason in UTF-8", frame(close, [0x03, 0xE8, 0xC0, 0xAF])),
      ConformanceCase("close with a surrogate in the reason", frame(close, [0x03, 0xE8, 0xED, 0xA0, 0x80])),
      ConformanceCase("close with an invalid code inside a message", frame(text, utf8("H")) + frame(close, [0, 5])),
      ConformanceCase("close inside a character", frame(text, [0xE2, 0x82]) + frame(close, [0x03, 0xE8])),
      ConformanceCase("a message and a ping after a close", frame(close) + frame(finText) + frame(ping)),
      ConformanceCase("close inside a message", frame(text, utf8("Hel")) + frame(close, [0x03, 0xE9])),
    ]

  /// RFC 6455 §10.4.
  static let limitCases: [ConformanceCase] = [
    ConformanceCase("message at the limit", limits: .init(maximumMessageSize: 10), frame(finBinary, noise(10))),
    ConformanceCase(
      "frame over the limit", limits: .init(maximumMessageSize: 10), frame(finBinary, noise(11))),
    ConformanceCase(
      "message over the limit, frame not", limits: .init(maximumMessageSize: 10, maximumFrameSize: 100),
      frame(finBinary, noise(11))),
    ConformanceCase(
      "frame over the limit, message not", limits: .init(maximumMessageSize: 100, maximumFrameSize: 10),
      frame(finBinary, noise(11))),
    ConformanceCase(
      "fragments at the limit", limits: .init(maximumMessageSize: 10),
      frame(binary, noise(5)) + frame(finContinuation, noise(5))),
    ConformanceCase(
      "fragments over the limit", limits: .init(maximumMessageSize: 10),
      frame(binary, noise(5)) + frame(finContinuation, noise(6))),
    ConformanceCase(
      "control frames do not count", limits: .init(maximumMessageSize: 10),
      frame(binary, noise(5)) + frame(ping, noise(100)) + frame(finContinuation, noise(5))),
    ConformanceCase("announced but never sent", frame(finBinary, length: .announced(16 << 20))),
    ConformanceCase("announced one byte too large", frame(finBinary, length: .announced(16 << 20 + 1))),
    ConformanceCase(
      "as many fragments as allowed", limits: .init(maximumFragmentsPerMessage: 3),
      frame(text, utf8("a")) + frame(continuation) + frame(finContinuation, utf8("b"))),
    ConformanceCase(
      "one fragment too many", limits: .init(maximumFragmentsPerMessage: 3),
      frame(text, utf8("a")) + frame(continuation) + frame(continuation) + frame(finContinuation, utf8("b"))),
    ConformanceCase("no message is allowed but empty ones", limits: .init(maximumMessageSize: 0), frame(finText)),
  ]

  /// RFC 6455 §5.1 and §5.3.
  static let masking: [ConformanceCase] =
    [0, 1, 2, 3, 4, 5, 7, 8, 9, 63, 64, 65, 125, 126, 1000, 70_000].map {
      ConformanceCase(
        "masked binary message of \($0) bytes", role: .server, frame(finBinary, noise($0), key: 0xA1B2_C3D4))
    }
    + [
      ConformanceCase("masked frame from a server", frame(finText, utf8("Hello"), key: 1)),
      ConformanceCase("masked ping from a server", frame(ping, key: 0)),
      ConformanceCase("unmasked frame from a client", role: .server, frame(finText, utf8("Hello"))),
      ConformanceCase("unmasked close from a client", role: .server, frame(close)),
      ConformanceCase("masked ping", role: .server, frame(ping, utf8("are you there"), key: 0x1234_5678)),
      ConformanceCase("masked close", role: .server, frame(close, [0x03, 0xE8] + utf8("bye"), key: 0x1234_5678)),
      ConformanceCase("masked with a key of zeroes", role: .server, frame(finText, utf8("plain"), key: 0)),
      ConformanceCase(
        "masked fragments, each with its own key", role: .server,
        frame(text, utf8("Hel"), key: 0x0102_0304) + frame(ping, utf8("?"), key: 0x0506_0708)
          + frame(finContinuation, utf8("lo"), key: 0xFFFE_FDFC)),
      ConformanceCase(
        "masked text that is not UTF-8", role: .server,
        frame(finText, [0x61, 0x62, 0x63, 0xC0, 0x61], key: 0x0F1E_2D3C)),
    ]
}
