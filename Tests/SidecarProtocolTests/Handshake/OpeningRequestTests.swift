import Testing
import SidecarProtocol

@Suite struct OpeningRequestTests {
  private let key = HandshakeKey("dGhlIHNhbXBsZSBub25jZQ==")

  @Test func `the key and its answer are those of RFC 6455 §1.3`() {
    #expect(key.accept == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    #expect(key.isWellFormed)
  }

  @Test func `keys are random and well formed`() throws {
    let keys = try (0..<100).map { _ in try HandshakeKey.random() }
    #expect(Set(keys).count == 100)
    #expect(keys.allSatisfy { $0.isWellFormed })
    for wrong in ["", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZSE=", "dGhlIHNhbXBsZSBub25jZ!==", "AAAA"] {
      #expect(!HandshakeKey(wrong).isWellFormed)
    }
  }

  @Test func `a request is written as RFC 6455 §4.1 says`() throws {
    let request = try OpeningRequest(
      host: "example.com", port: 8080, isSecure: false, target: "/chat?room=1",
      headers: ["Authorization": "Bearer x", "X-Empty": ""], origin: "https://example.com",
      subprotocols: ["chat", "superchat"], deflate: PermessageDeflate.Offer(), key: key)
    #expect(
      String(decoding: request.bytes, as: UTF8.self)
        == """
        GET /chat?room=1 HTTP/1.1\r
        Host: example.com:8080\r
        Upgrade: websocket\r
        Connection: Upgrade\r
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
        Sec-WebSocket-Version: 13\r
        Origin: https://example.com\r
        Sec-WebSocket-Protocol: chat, superchat\r
        Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r
        Authorization: Bearer x\r
        X-Empty: \r
        \r

        """)
  }

  @Test(arguments: [
    ("example.com", 80, false, "example.com"), ("example.com", 443, true, "example.com"),
    ("example.com", 443, false, "example.com:443"), ("example.com", 80, true, "example.com:80"),
    ("127.0.0.1", 9001, false, "127.0.0.1:9001"), ("::1", 80, false, "[::1]"), ("[::1]", 9001, true, "[::1]:9001"),
    ("fe80::1%eth0", 9001, false, "[fe80::1]:9001"), ("_service.local", 80, false, "_service.local"),
  ])
  func `the host is written with its port unless that is the scheme's own`(
    _ host: String, _ port: Int, _ isSecure: Bool, _ authority: String
  ) throws {
    #expect(try OpeningRequest(host: host, port: port, isSecure: isSecure).authority == authority)
  }

  @Test func `an empty path is a slash`() throws {
    #expect(try OpeningRequest(host: "a", port: 80, isSecure: false, target: "").target == "/")
    #expect(try OpeningRequest(host: "a", port: 80, isSecure: false, target: "?q=1").target == "/?q=1")
  }

  @Test(arguments: [
    "", "a b", "a/b", "a?b", "a#b", "user@host", "a\r\nb", "höst", "a\u{0}b", "[]", "[\u{301}a]", "::1]", "fe80::zz",
    "%eth0:",
  ])
  func `what is no host is refused`(_ host: String) {
    #expect(throws: OpeningRequest.Invalid.host) { try OpeningRequest(host: host, port: 80, isSecure: false) }
  }

  @Test(arguments: [
    ("path", 0), ("/a b", 2), ("/a\r\nX: y", 2), ("/a#b", 2), ("/ä", 1), ("/\u{7F}", 1), ("http://a/", 0),
  ])
  func `what is no path is refused`(_ target: String, _ offset: Int) {
    #expect(throws: OpeningRequest.Invalid.target(offset: offset)) {
      try OpeningRequest(host: "a", port: 80, isSecure: false, target: target)
    }
  }

  @Test(arguments: [0, -1, 65_536])
  func `what is no port is refused`(_ port: Int) {
    #expect(throws: OpeningRequest.Invalid.port(port)) { try OpeningRequest(host: "a", port: port, isSecure: false) }
  }

  private func made(
    _ headers: HeaderFields, origin: String? = nil, subprotocols: [String] = []
  ) throws(OpeningRequest.Invalid) {
    _ = try OpeningRequest(
      host: "a", port: 80, isSecure: false, headers: headers, origin: origin, subprotocols: subprotocols)
  }

  @Test func `headers cannot smuggle anything into the request`() {
    for (value, offset) in [("a\r\nX: y", 1), ("ab\nb", 2), ("a\rb", 1), ("a\u{0}", 1), ("a\u{7F}", 1), ("\u{1B}", 0)] {
      #expect(throws: OpeningRequest.Invalid.headerValue(name: "X", offset: offset)) { try made(["X": value]) }
    }
    for (name, offset) in [("", nil), ("a b", 1), ("a:b", 1), ("a\r\nb", 1), ("ä", 0)] {
      #expect(throws: OpeningRequest.Invalid.headerName(index: 1, offset: offset)) { try made(["A": "", name: "x"]) }
    }
    for name in ["host", "UPGRADE", "Connection", "Sec-WebSocket-Key", "sec-websocket-extensions", "Content-Length"] {
      #expect(throws: OpeningRequest.Invalid.reservedHeader(name)) { try made([name: "x"]) }
    }
    #expect(throws: OpeningRequest.Invalid.origin(offset: 1)) { try made([:], origin: "a\r\n") }
    #expect(throws: OpeningRequest.Invalid.origin(offset: nil)) { try made([:], origin: "") }
  }

  @Test func `an origin is given once, in one way or the other`() throws {
    try made(["Origin": "https://a"])
    #expect(throws: OpeningRequest.Invalid.reservedHeader("Origin")) { try made(["Origin": "x"], origin: "https://a") }
  }

  @Test func `subprotocols are tokens and are offered once`() {
    #expect(throws: OpeningRequest.Invalid.subprotocol(index: 0, offset: 1)) { try made([:], subprotocols: ["a b"]) }
    #expect(throws: OpeningRequest.Invalid.subprotocol(index: 1, offset: nil)) {
      try made([:], subprotocols: ["a", ""])
    }
    #expect(throws: OpeningRequest.Invalid.repeatedSubprotocol(index: 2)) {
      try made([:], subprotocols: ["a", "b", "a"])
    }
  }

  @Test func `what cannot be part of a request is named by its place and never shown`() {
    let secret = "s3cret"
    expectHidden(secret) { try made(["Authorization": "Bearer \(secret)\n"]) }
    expectHidden(secret) { try made(["Authorization: Bearer \(secret)": ""]) }
    expectHidden(secret) { try made([:], subprotocols: ["token \(secret)"]) }
    expectHidden(secret) { try made([:], subprotocols: [secret, secret]) }
    expectHidden(secret) { try made([:], origin: "\(secret)\n") }
    expectHidden(secret) {
      _ = try OpeningRequest(host: "a", port: 80, isSecure: false, target: "/?token=\(secret) ")
    }
    let invalid: [OpeningRequest.Invalid] = [
      .host, .port(0), .target(offset: 1), .headerName(index: 0, offset: 1), .headerName(index: 0, offset: nil),
      .headerValue(name: "X", offset: 1), .reservedHeader("Host"), .origin(offset: nil), .origin(offset: 1),
      .subprotocol(index: 0, offset: 1), .subprotocol(index: 0, offset: nil), .repeatedSubprotocol(index: 0),
      .randomness(RandomnessError(code: 38)),
    ]
    #expect(Set(invalid.map { "\($0)" }).count == invalid.count)
    #expect(invalid[5].description == "the value of the header X has a control character at byte 1 (RFC 9110 §5.5)")
  }

  private func expectHidden(_ secret: String, _ attempt: () throws -> Void) {
    do {
      try attempt()
      Issue.record("accepted")
    } catch {
      var dumped = ""
      dump(error, to: &dumped)
      for text in ["\(error)", String(reflecting: error), dumped] { #expect(!text.contains(secret)) }
    }
  }

  @Test func `a system without randomness cannot make a request`() {
    let error = RandomnessError(code: 38)
    #expect(throws: OpeningRequest.Invalid.randomness(error)) {
      try OpeningRequest(host: "a", port: 80, isSecure: false, randomness: RandomSource { _ in 38 })
    }
    #expect(error.description == "getentropy failed with errno 38")
  }
}

@Suite struct HeaderFieldsTests {
  private let headers = HeaderFields([
    .init("Accept", "a, b"), .init("Via", "1"), .init("ACCEPT", "\"c, d\\\"\", ,e"), .init("Empty", " "),
  ])

  @Test func `names are compared without case`() {
    #expect(headers.values("accept") == ["a, b", "\"c, d\\\"\", ,e"])
    #expect(headers.first("via") == "1")
    #expect(headers.first("viab") == nil)
    #expect(!"i".equalsIgnoringCase("İ") && !"[".equalsIgnoringCase("{") && "Z".equalsIgnoringCase("z"))
  }

  @Test func `names and values are compared as bytes`() {
    // A composed and a decomposed letter are the same to `String`.
    #expect("é" == "e\u{301}" && !"é".hasSameBytes(as: "e\u{301}"))
    #expect(HeaderFields.Field("A", "é") != .init("A", "e\u{301}"))
    #expect(HeaderFields.Field("A", "\u{212A}") != .init("A", "K"))
    #expect(Set([HeaderFields.Field("A", "é"), .init("A", "e\u{301}"), .init("A", "é")]).count == 2)
    #expect(HandshakeKey("K") != HandshakeKey("\u{212A}"))
    #expect(!"a\u{327}\u{301}".equalsIgnoringCase("a\u{301}\u{327}"))
  }

  @Test func `lists are split at commas outside quotes`() {
    #expect(headers.list("accept") == ["a", "b", "\"c, d\\\"\"", "e"])
    #expect(headers.list("empty").isEmpty)
  }
}
