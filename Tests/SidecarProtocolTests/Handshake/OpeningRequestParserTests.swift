import Testing
import SidecarProtocol

@Suite struct OpeningRequestParserTests {
  private func parse(
    _ bytes: [UInt8], piece size: Int = .max
  ) throws(HandshakeViolation) -> (ReceivedOpeningRequest?, rest: [UInt8]) {
    var parser = OpeningRequestParser()
    var start = 0
    while start < bytes.count {
      let piece = Array(bytes[start..<(start + min(size, bytes.count - start))])
      let result = try withBytes(of: piece) { bytes throws(HandshakeViolation) in try parser.receive(bytes) }
      start += result.consumed
      if let request = result.request { return (request, Array(bytes[start...])) }
    }
    return (nil, [])
  }

  @Test func `a server reads what a client writes, and the client accepts its answer`() throws {
    let sent = try OpeningRequest(
      host: "example.com", port: 80, isSecure: false, target: "/chat", subprotocols: ["a", "b"],
      deflate: PermessageDeflate.Offer(clientNoContextTakeover: true))
    for size in 1...sent.bytes.count {
      let (request, rest) = try parse(sent.bytes + [0x81], piece: size)
      #expect(request?.target == "/chat" && request?.key == sent.key && request?.subprotocols == ["a", "b"])
      #expect(request?.extensions == sent.deflate.map { [$0.element] })
      #expect(rest == [0x81])
    }
    let request = try #require(try parse(sent.bytes).0)
    let answer = ServerResponse(
      accepting: request, subprotocol: "b", deflate: ExtensionElement(PermessageDeflate.name),
      headers: ["Server": "test"])
    var parser = OpeningResponseParser(request: sent)
    let response = try withBytes(of: answer.bytes) { bytes throws(HandshakeViolation) in try parser.receive(bytes) }
    #expect(response.response?.subprotocol == "b")
    #expect(response.response?.deflate == PermessageDeflate.Agreement(clientNoContextTakeover: true))
    #expect(response.response?.headers.first("server") == "test")
  }

  @Test func `any other answer is written as it is`() {
    let answer = ServerResponse(status: 403, reason: "No", headers: ["X": "y"], body: utf8("body"))
    #expect(answer.bytes == utf8("HTTP/1.1 403 No\r\nX: y\r\n\r\nbody"))
  }

  @Test func `requests are compared by their bytes`() throws {
    func request(_ target: String) throws -> ReceivedOpeningRequest {
      let text =
        "GET \(target) HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
      return try #require(try parse(utf8(text)).0)
    }
    #expect(try request("/é") == request("/é") && request("/é") != request("/e\u{301}"))
    #expect(try Set([request("/é"), request("/é"), request("/e\u{301}")]).count == 2)
  }

  @Test func `what RFC 6455 §4.2.1 asks of a request has to be there`() throws {
    let upgrade = "Host: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    let version = "Sec-WebSocket-Version: 13\r\n"
    let get = "GET / HTTP/1.1\r\n"
    let cases: [(String, HandshakeViolation)] = [
      ("POST / HTTP/1.1\r\n" + upgrade + key + version, .methodIsNotGet("POST")),
      ("GET / HTTP/1.0\r\n" + upgrade + key + version, .unsupportedHTTPVersion("HTTP/1.0")),
      ("GET /\r\n", .malformedStartLine("GET /")),
      ("GET  HTTP/1.1\r\n", .malformedStartLine("GET  HTTP/1.1")),
      ("GET / a HTTP/1.1\r\n", .malformedStartLine("GET / a HTTP/1.1")),
      ("G(T / HTTP/1.1\r\n", .malformedStartLine("G(T / HTTP/1.1")),
      ("GET / FTP\r\n", .malformedStartLine("GET / FTP")),
      (get + "Upgrade: websocket\r\n" + key + version, .headerMissing("Host")),
      (get + "Host: a\r\n" + key + version, .headerMissing("Upgrade")),
      (get + upgrade + version, .headerMissing("Sec-WebSocket-Key")),
      (get + upgrade + key + key + version, .headerRepeated("Sec-WebSocket-Key")),
      (get + upgrade + "Sec-WebSocket-Key: short\r\n" + version, .malformedKey("short")),
      (get + upgrade + key, .headerMissing("Sec-WebSocket-Version")),
      (get + upgrade + key + "Sec-WebSocket-Version: 8\r\n", .unsupportedWebSocketVersion("8")),
      (get + upgrade + key + version + "Sec-WebSocket-Extensions: a b\r\n", .extensionParameters(.malformed("a b"))),
      (get + "Host: a\r\n folded\r\n", .foldedHeaderLine),
    ]
    for (text, violation) in cases {
      for size in [1, 5, .max] {
        #expect(throws: violation) { try parse(utf8(text + "\r\n"), piece: size) }
      }
    }
  }
}
