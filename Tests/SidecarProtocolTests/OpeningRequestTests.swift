import Testing
import SidecarProtocol

@Suite struct OpeningRequestTests {
  private let key = HandshakeKey("dGhlIHNhbXBsZSBub25jZQ==")

  @Test func `the key and its answer are those of RFC 6455 §1.3`() {
    #expect(key.accept == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    #expect(key.isWellFormed)
  }

  @Test func `keys are random and well formed`() {
    let keys = (0..<100).map { _ in HandshakeKey.random() }
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
    #expect(throws: OpeningRequest.Invalid.host(host)) { try OpeningRequest(host: host, port: 80, isSecure: false) }
  }

  @Test(arguments: ["path", "/a b", "/a\r\nX: y", "/a#b", "/ä", "/\u{7F}", "http://a/"])
  func `what is no path is refused`(_ target: String) {
    #expect(throws: OpeningRequest.Invalid.target(target)) {
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
    for value in ["a\r\nX: y", "a\nb", "a\rb", "a\u{0}", "a\u{7F}", "\u{1B}"] {
      #expect(throws: OpeningRequest.Invalid.headerValue(name: "X", value: value)) { try made(["X": value]) }
    }
    for name in ["", "a b", "a:b", "a\r\nb", "ä"] {
      #expect(throws: OpeningRequest.Invalid.headerName(name)) { try made([name: "x"]) }
    }
    for name in ["host", "UPGRADE", "Connection", "Sec-WebSocket-Key", "sec-websocket-extensions", "Content-Length"] {
      #expect(throws: OpeningRequest.Invalid.reservedHeader(name)) { try made([name: "x"]) }
    }
    #expect(throws: OpeningRequest.Invalid.origin("a\r\n")) { try made([:], origin: "a\r\n") }
    #expect(throws: OpeningRequest.Invalid.origin("")) { try made([:], origin: "") }
  }

  @Test func `an origin is given once, in one way or the other`() throws {
    try made(["Origin": "https://a"])
    #expect(throws: OpeningRequest.Invalid.reservedHeader("Origin")) { try made(["Origin": "x"], origin: "https://a") }
  }

  @Test func `subprotocols are tokens and are offered once`() {
    #expect(throws: OpeningRequest.Invalid.subprotocol("a b")) { try made([:], subprotocols: ["a b"]) }
    #expect(throws: OpeningRequest.Invalid.subprotocol("")) { try made([:], subprotocols: [""]) }
    #expect(throws: OpeningRequest.Invalid.repeatedSubprotocol("a")) { try made([:], subprotocols: ["a", "b", "a"]) }
  }

  @Test func `what cannot be part of a request is named`() {
    let invalid: [OpeningRequest.Invalid] = [
      .host("a b"), .port(0), .target("x"), .headerName("a b"), .headerValue(name: "X", value: "a\n"),
      .reservedHeader("Host"), .origin(""), .subprotocol(""), .repeatedSubprotocol("a"),
    ]
    #expect(Set(invalid.map { "\($0)" }).count == invalid.count)
    #expect(invalid[4].description == #"the value of the header X has a control character: "a\n" (RFC 9110 §5.5)"#)
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

  @Test func `lists are split at commas outside quotes`() {
    #expect(headers.list("accept") == ["a", "b", "\"c, d\\\"\"", "e"])
    #expect(headers.list("empty").isEmpty)
  }
}
