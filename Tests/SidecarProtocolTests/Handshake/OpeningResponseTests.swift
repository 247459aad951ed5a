import Testing
import SidecarProtocol

@Suite struct OpeningResponseTests {
  private func request(
    subprotocols: [String] = [], deflate: PermessageDeflate.Offer? = nil
  ) throws -> OpeningRequest {
    try OpeningRequest(
      host: "a", port: 80, isSecure: false, subprotocols: subprotocols, deflate: deflate,
      key: HandshakeKey("dGhlIHNhbXBsZSBub25jZQ=="))
  }

  private static let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\n"
  private static let accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

  private func answer(_ more: String = "", status: String = "HTTP/1.1 101 Switching Protocols\r\n") -> String {
    status + Self.upgrade + Self.accept + more + "\r\n"
  }

  /// Feeds the answer in pieces, and returns what it comes to and the bytes that were not consumed.
  private func parse(
    _ bytes: [UInt8], _ request: OpeningRequest, piece size: Int
  ) throws(HandshakeViolation) -> (OpeningResponse?, rest: [UInt8]) {
    var parser = OpeningResponseParser(request: request)
    var start = 0
    while start < bytes.count {
      let piece = Array(bytes[start..<min(start + size, bytes.count)])
      let result = try withBytes(of: piece) { bytes throws(HandshakeViolation) in try parser.receive(bytes) }
      start += result.consumed
      if let response = result.response { return (response, Array(bytes[start...])) }
      if result.consumed < piece.count { break }
    }
    return (nil, Array(bytes[start...]))
  }

  /// The outcome, which is the same however the bytes are cut.
  private func result(
    _ text: String, _ request: OpeningRequest, sourceLocation: SourceLocation = #_sourceLocation
  ) throws(HandshakeViolation) -> OpeningResponse? {
    try result(utf8(text), request, sourceLocation: sourceLocation)
  }

  private func result(
    _ bytes: [UInt8], _ request: OpeningRequest, sourceLocation: SourceLocation = #_sourceLocation
  ) throws(HandshakeViolation) -> OpeningResponse? {
    func outcome(_ size: Int) -> Result<OpeningResponse?, HandshakeViolation> {
      do throws(HandshakeViolation) { return .success(try parse(bytes, request, piece: size).0) } catch {
        return .failure(error)
      }
    }
    let whole = outcome(bytes.count)
    for size in bytes.count < 600 ? Array(1...bytes.count) : [1, 7, 1000] {
      #expect(outcome(size) == whole, "in pieces of \(size)", sourceLocation: sourceLocation)
    }
    return try whole.get()
  }

  @Test func `a response that opens the connection is accepted, and what follows it is left`() throws {
    let frames: [UInt8] = frame(0x81, utf8("first"))
    let bytes = utf8(answer("X-Custom: yes\r\n")) + frames
    for size in 1...bytes.count {
      let (response, rest) = try parse(bytes, request(), piece: size)
      #expect(response?.headers.first("x-custom") == "yes")
      #expect(response?.subprotocol == nil && response?.deflate == nil)
      #expect(rest == frames)
    }
  }

  @Test func `an answer that is not complete is waited for`() throws {
    #expect(try result(String(answer().dropLast(1)), request()) == nil)
  }

  @Test func `names, tokens and lists are read as HTTP has them`() throws {
    let text =
      "HTTP/1.1 101\r\nUPGRADE:WebSocket\r\nUpgrade: websocket\r\nconnection: keep-alive\r\nConnection:  foo , UPGRADE \t\r\n"
      + "sec-websocket-accept:s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\t\r\n\r\n"
    #expect(try result(text, request()) != nil)
  }

  @Test func `interim responses are passed over`() throws {
    let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer()
    #expect(try result(text, request())?.headers.fields.count == 3)
  }

  @Test func `a folded line is unfolded`() throws {
    let response = try result(answer("X-Folded: one\r\n  two\r\n\tthree\r\nX-Empty:\r\n \r\n"), request())
    #expect(response?.headers.first("X-Folded") == "one two three")
    #expect(response?.headers.first("X-Empty")?.isEmpty == true)
  }

  @Test func `a subprotocol is taken from among the offered ones`() throws {
    let offered = try request(subprotocols: ["chat", "superchat"])
    #expect(try result(answer("Sec-WebSocket-Protocol: superchat\r\n"), offered)?.subprotocol == "superchat")
    #expect(try result(answer(), offered)?.subprotocol == nil)
    let nothing = try request()
    let cases = [
      ("chat", nothing), ("", nothing), ("", offered), ("other", offered), ("CHAT", offered),
      ("chat, superchat", offered),
    ]
    for (name, request) in cases {
      #expect(throws: HandshakeViolation.unrequestedSubprotocol(name)) {
        try result(answer("Sec-WebSocket-Protocol: \(name)\r\n"), request)
      }
    }
    #expect(throws: HandshakeViolation.headerRepeated("Sec-WebSocket-Protocol")) {
      try result(answer("Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat\r\n"), offered)
    }
  }

  @Test func `an extension is taken only if it was offered, and once`() throws {
    let offered = try request(deflate: PermessageDeflate.Offer())
    let header = "Sec-WebSocket-Extensions: "
    #expect(
      try result(answer(header + "permessage-deflate; server_max_window_bits=\"10\"\r\n"), offered)?.deflate
        == PermessageDeflate.Agreement(serverMaxWindowBits: 10))
    #expect(try result(answer(), offered)?.deflate == nil)
    #expect(try result(answer(header + "\r\n"), offered)?.deflate == nil)
    #expect(throws: HandshakeViolation.unrequestedExtension("permessage-deflate")) {
      try result(answer(header + "permessage-deflate\r\n"), request())
    }
    #expect(throws: HandshakeViolation.unrequestedExtension("x-other")) {
      try result(answer(header + "x-other\r\n"), offered)
    }
    let name = PermessageDeflate.name
    for twice in ["\(name), \(name)\r\n", "\(name)\r\n\(header)\(name)\r\n"] {
      #expect(throws: HandshakeViolation.extensionRepeated("permessage-deflate")) {
        try result(answer(header + twice), offered)
      }
    }
    #expect(throws: HandshakeViolation.extensionParameters(.unknownParameter("other"))) {
      try result(answer(header + "permessage-deflate; other=1\r\n"), offered)
    }
    for malformed in ["permessage deflate", "a; b c", "a; =1", "a; b=", "a; b=\"c d\"", "a;", "; a"] {
      #expect(throws: HandshakeViolation.extensionParameters(.malformed(malformed))) {
        try result(answer(header + malformed + "\r\n"), offered)
      }
    }
  }

  @Test func `what RFC 6455 §4.1 asks of the answer has to be there`() throws {
    let status = "HTTP/1.1 101 x\r\n"
    let cases: [(String, HandshakeViolation)] = [
      (status + "Connection: Upgrade\r\n" + Self.accept, .headerMissing("Upgrade")),
      (status + "Upgrade: h2c\r\nConnection: Upgrade\r\n" + Self.accept, .upgradeIsNotWebSocket("h2c")),
      (status + "Upgrade: ,\r\nConnection: Upgrade\r\n" + Self.accept, .upgradeIsNotWebSocket(",")),
      (
        status + "Upgrade: websocket, h2c\r\nConnection: Upgrade\r\n" + Self.accept,
        .upgradeIsNotWebSocket("websocket, h2c")
      ),
      (status + "Upgrade: websockets\r\nConnection: Upgrade\r\n" + Self.accept, .upgradeIsNotWebSocket("websockets")),
      (status + "Upgrade: websocket\r\n" + Self.accept, .headerMissing("Connection")),
      (status + "Upgrade: websocket\r\nConnection: upgraded\r\n" + Self.accept, .connectionIsNotUpgrade("upgraded")),
      (
        status + Self.upgrade + "Sec-WebSocket-Accept:\r\n",
        .acceptMismatch(received: "", expected: "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
      ),
      (status + "Upgrade: websocket\r\nConnection: close\r\n" + Self.accept, .connectionIsNotUpgrade("close")),
      (status + Self.upgrade, .headerMissing("Sec-WebSocket-Accept")),
      (status + Self.upgrade + Self.accept + Self.accept, .headerRepeated("Sec-WebSocket-Accept")),
      (
        status + Self.upgrade + "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
        .acceptMismatch(received: "S3pPLMBiTxaQ9kYGzzhZRbK+xOo=", expected: "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
      ),
      ("HTTP/1.0 101 x\r\n" + Self.upgrade + Self.accept, .unsupportedHTTPVersion("HTTP/1.0")),
      ("HTTP/1.11 101 x\r\n" + Self.upgrade + Self.accept, .unsupportedHTTPVersion("HTTP/1.11")),
    ]
    for (text, violation) in cases {
      #expect(throws: violation) { try result(text + "\r\n", request()) }
    }
  }

  @Test func `what is no HTTP is refused`() throws {
    let cases: [(String, HandshakeViolation)] = [
      ("HTTP/1.1\r\n\r\n", .malformedStartLine("HTTP/1.1")),
      ("HTTP/1.1 1010 x\r\n\r\n", .malformedStartLine("HTTP/1.1 1010 x")),
      ("HTTP/1.1 +11 x\r\n\r\n", .malformedStartLine("HTTP/1.1 +11 x")),
      ("HTTP/1.1 000 x\r\n\r\n", .malformedStartLine("HTTP/1.1 000 x")),
      ("HTTP/1.1 099 x\r\n\r\n", .malformedStartLine("HTTP/1.1 099 x")),
      ("HTTP/1.1  101\r\n\r\n", .malformedStartLine("HTTP/1.1  101")),
      ("HTTP/1.1 101 x\n", .lineEndsWithoutCarriageReturn),
      ("HTTP/1.1 101 x\r\nA: b\n", .lineEndsWithoutCarriageReturn),
      ("HTTP/1.1 101 x\r\nA: b\rc\r\n", .strayCarriageReturn),
      ("HTTP/1.1 101 x\r\nA: b\u{0}c\r\n", .nulByte),
      ("HTTP/1.1 101 x\r\n folded\r\n", .foldedHeaderLine),
      ("HTTP/1.1 101 x\r\nA: b\r\n \u{1}\r\n", .malformedHeaderLine(" \u{1}")),
      ("HTTP/1.1 101 x\r\nno colon\r\n", .malformedHeaderLine("no colon")),
      ("HTTP/1.1 101 x\r\n: no name\r\n", .malformedHeaderLine(": no name")),
      ("HTTP/1.1 101 x\r\nA : b\r\n", .malformedHeaderLine("A : b")),
      ("HTTP/1.1 101 x\r\nA: \u{1}\r\n", .malformedHeaderLine("A: \u{1}")),
    ]
    for (text, violation) in cases {
      #expect(throws: violation) { try result(text, request()) }
    }
  }

  @Test func `a head has limits`() throws {
    let long = String(repeating: "a", count: 9000)
    #expect(throws: HandshakeViolation.lineTooLong(limit: 8192)) { try result(answer("A: \(long)\r\n"), request()) }
    #expect(throws: HandshakeViolation.lineTooLong(limit: 8192)) { try result("HTTP/1.1 \(long)", request()) }
    let many = String(repeating: "A: b\r\n", count: 98)
    #expect(throws: HandshakeViolation.tooManyHeaders(limit: 100)) { try result(answer(many), request()) }
    #expect(try result(answer(String(repeating: "A: b\r\n", count: 97)), request()) != nil)
    let folds = String(repeating: " b\r\n", count: 98)
    #expect(throws: HandshakeViolation.tooManyHeaders(limit: 100)) { try result(answer(folds), request()) }
    let interim = String(repeating: "HTTP/1.1 100 Continue\r\n\r\n", count: 3000)
    #expect(throws: HandshakeViolation.headTooLarge(limit: 65_536)) { try result(interim, request()) }
  }

  @Test func `the limit that comes first counts, however much comes at once`() {
    let long = answer("A: " + String(repeating: "a", count: 100_000))
    #expect(throws: HandshakeViolation.lineTooLong(limit: 8192)) { try result(long, request()) }
    let manyAndLong = String(repeating: "HTTP/1.1 100 Continue\r\n\r\n", count: 2300) + long
    #expect(throws: HandshakeViolation.headTooLarge(limit: 65_536)) { try result(manyAndLong, request()) }
  }

  @Test func `bytes beyond ASCII in a value do no harm`() throws {
    let bytes = utf8("HTTP/1.1 101 x\r\n" + Self.upgrade + Self.accept + "X: ") + [0xFF, 0xE9] + utf8("\r\n\r\n")
    #expect(try result(bytes, request())?.headers.first("X") == "\u{FFFD}\u{FFFD}")
  }

  @Test func `the first line is split at spaces, whatever character they would be part of in a string`() throws {
    #expect(try result(answer(status: "HTTP/1.1 101 \u{301}x\r\n"), request()) != nil)
  }

  @Test func `a subprotocol, an accept value and a version are compared as bytes`() throws {
    // U+212A (KELVIN SIGN) is the same as K to `String`.
    let offered = try request(subprotocols: ["Key"])
    #expect(throws: HandshakeViolation.unrequestedSubprotocol("\u{212A}ey")) {
      try result(answer("Sec-WebSocket-Protocol: \u{212A}ey\r\n"), offered)
    }
    #expect("\(HandshakeViolation.unrequestedSubprotocol("\u{212A}ey"))".contains(#""\u{212a}ey""#))
    #expect(try result(answer("Sec-WebSocket-Protocol: Key\r\n"), offered)?.subprotocol == "Key")
    // Any key whose accept value has a K in it.
    let withK = try #require((0...).lazy.map { HandshakeKey("key\($0)") }.first { $0.accept.contains("K") })
    let request = try OpeningRequest(host: "a", port: 80, isSecure: false, key: withK)
    let right = "HTTP/1.1 101 x\r\n" + Self.upgrade + "Sec-WebSocket-Accept: \(withK.accept)\r\n\r\n"
    #expect(try result(right, request) != nil)
    let wrong = withK.accept.utf8.map { $0 == UInt8(ascii: "K") ? utf8("\u{212A}") : [$0] }.flatMap { $0 }
    let bytes =
      utf8("HTTP/1.1 101 x\r\n" + Self.upgrade + "Sec-WebSocket-Accept: ") + wrong + utf8("\r\n\r\n")
    let received = String(decoding: wrong, as: UTF8.self)
    #expect(throws: HandshakeViolation.acceptMismatch(received: received, expected: withK.accept)) {
      try result(bytes, request)
    }
    // An equals sign with a combining mark is one character, and still an equals sign.
    #expect(throws: HandshakeViolation.extensionParameters(.malformed("permessage-deflate; a=\u{338}"))) {
      try result(
        answer("Sec-WebSocket-Extensions: permessage-deflate; a=\u{338}\r\n"),
        self.request(deflate: PermessageDeflate.Offer()))
    }
  }

  @Test func `every violation is described`() {
    let refusal = HandshakeViolation.Refusal(status: 403, reason: "", headers: [:])
    let violations: [HandshakeViolation] = [
      .malformedStartLine("x"), .unsupportedHTTPVersion("x"), .malformedHeaderLine("x"), .lineEndsWithoutCarriageReturn,
      .strayCarriageReturn, .nulByte, .foldedHeaderLine, .lineTooLong(limit: 1), .tooManyHeaders(limit: 1),
      .headTooLarge(limit: 1), .refused(refusal), .headerMissing("x"), .headerRepeated("x"),
      .upgradeIsNotWebSocket("x"),
      .connectionIsNotUpgrade("x"), .acceptMismatch(received: "x", expected: "y"), .unrequestedSubprotocol("x"),
      .unrequestedExtension("x"), .extensionRepeated("x"), .methodIsNotGet("x"), .unsupportedWebSocketVersion("x"),
      .malformedKey("x"), .extensionParameters(.malformed("x")), .extensionParameters(.unknownParameter("x")),
      .extensionParameters(.repeatedParameter("x")), .extensionParameters(.invalidValue(parameter: "x", value: "y")),
      .extensionParameters(.invalidValue(parameter: "x", value: nil)),
      .extensionParameters(.unconfirmedParameter("x")),
      .extensionParameters(.largerThanOffered(parameter: "x", offered: 8, value: 9)),
      .notHTTP(NonHTTPResponse([])), .endOfStream(.nothing, afterInterimResponses: 0),
      .endOfStream(.nothing, afterInterimResponses: 1), .endOfStream(.nothing, afterInterimResponses: 2),
      .endOfStream(.firstLine(NonHTTPResponse([1])), afterInterimResponses: 0),
      .endOfStream(.header(lineCount: 1), afterInterimResponses: 0),
      .endOfStream(.header(lineCount: 2), afterInterimResponses: 0),
    ]
    #expect(Set(violations.map(\.description)).count == violations.count)
    #expect("\(HandshakeViolation.refused(refusal))" == "the server answered 403 instead of 101 (RFC 6455 §4.1)")
  }

  @Test func `every violation is one line that is safe to show`() {
    let evil = "\u{1B}]0;x\u{7}\r\n\u{9B}31m\u{85}\u{2028}\u{202E}\u{FEFF}\""
    let violations: [HandshakeViolation] = [
      .malformedStartLine(evil), .unsupportedHTTPVersion(evil), .malformedHeaderLine(evil),
      .refused(.init(status: 403, reason: evil, headers: [:])), .upgradeIsNotWebSocket(evil),
      .connectionIsNotUpgrade(evil), .acceptMismatch(received: evil, expected: "y"), .unrequestedSubprotocol(evil),
      .unrequestedExtension(evil), .extensionRepeated(evil), .methodIsNotGet(evil), .unsupportedWebSocketVersion(evil),
      .malformedKey(evil), .extensionParameters(.malformed(evil)), .extensionParameters(.unknownParameter(evil)),
      .extensionParameters(.repeatedParameter(evil)), .extensionParameters(.unconfirmedParameter(evil)),
      .extensionParameters(.invalidValue(parameter: evil, value: evil)),
      .extensionParameters(.invalidValue(parameter: evil, value: nil)),
      .extensionParameters(.largerThanOffered(parameter: evil, offered: 8, value: 9)),
      .notHTTP(NonHTTPResponse(utf8(evil))),
      .endOfStream(.firstLine(NonHTTPResponse(utf8(evil))), afterInterimResponses: 0),
    ]
    for text in violations.map(\.description) {
      #expect(text.unicodeScalars.allSatisfy { (0x20...0x7E).contains($0.value) || $0 == "§" || $0 == "…" })
      #expect(text.escapedForDisplay == text)
    }
  }
}
