import Testing
import SidecarProtocol

/// A response other than 101, with its body (RFC 9112 §6).
@Suite struct RefusalTests {
  private enum Outcome: Equatable {
    case refused(HandshakeViolation.Refusal)
    /// What is known before the stream ends, and what the end means.
    case waiting(HandshakeViolation?, atEnd: HandshakeViolation)
    case failed(HandshakeViolation)
  }

  private func outcome(_ bytes: [UInt8], piece size: Int) throws -> Outcome {
    var parser = OpeningResponseParser(request: try OpeningRequest(host: "a", port: 80, isSecure: false))
    do throws(HandshakeViolation) {
      var start = 0
      while start < bytes.count {
        let piece = Array(bytes[start..<min(start + size, bytes.count)])
        let (consumed, response) = try withBytes(of: piece) { bytes throws(HandshakeViolation) in
          try parser.receive(bytes)
        }
        #expect(consumed == piece.count && response == nil)
        start += piece.count
      }
    } catch .refused(let refusal) {
      return .refused(refusal)
    } catch {
      return .failed(error)
    }
    let partial = parser.partialRefusal()
    return .waiting(partial, atEnd: parser.receiveEndOfStream())
  }

  /// The outcome, which is the same however the bytes are cut.
  private func outcome(
    _ bytes: [UInt8], sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> Outcome {
    let whole = try outcome(bytes, piece: bytes.count)
    for size in bytes.count < 400 ? Array(1..<bytes.count) : [1, 7, 1000, 5000] {
      #expect(try outcome(bytes, piece: size) == whole, "in pieces of \(size)", sourceLocation: sourceLocation)
    }
    return whole
  }

  private func outcome(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) throws -> Outcome {
    try outcome(utf8(text), sourceLocation: sourceLocation)
  }

  /// The refusal that ends the response, or that is left when the stream ends.
  private func refusal(
    _ text: String, sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> HandshakeViolation.Refusal {
    switch try outcome(text, sourceLocation: sourceLocation) {
    case .refused(let refusal), .waiting(_, atEnd: .refused(let refusal)): return refusal
    case let other:
      Issue.record("\(other)", sourceLocation: sourceLocation)
      return HandshakeViolation.Refusal(status: 0, reason: "", headers: [:])
    }
  }

  @Test(arguments: [200, 301, 401, 403, 404, 426, 500, 999])
  func `any status other than 101 is a refusal with all that the server said`(_ code: Int) throws {
    let text = "HTTP/1.0 \(code) Because of this\r\nLocation: /x\r\nContent-Length: 5\r\n\r\nsorry and more"
    let expected = HandshakeViolation.Refusal(
      status: code, reason: "Because of this", headers: ["Location": "/x", "Content-Length": "5"], body: utf8("sorry"))
    #expect(try outcome(text) == .refused(expected))
  }

  @Test func `a body of known length is waited for`() throws {
    let head = "HTTP/1.1 403 No\r\nContent-Length: 5\r\n\r\n"
    let part = HandshakeViolation.Refusal(
      status: 403, reason: "No", headers: ["Content-Length": "5"], body: utf8("sor"), isBodyComplete: false)
    #expect(try outcome(head + "sor") == .waiting(.refused(part), atEnd: .refused(part)))
    #expect(try refusal(head + "sorry").isBodyComplete)
    #expect(
      try refusal("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
        == .init(
          status: 403, reason: "No", headers: ["Content-Length": "0"]))
    #expect(
      try refusal("HTTP/1.1 403 No\r\nContent-Length: 5, 05\r\nContent-Length: 5\r\n\r\nsorry").body == utf8("sorry"))
  }

  @Test(arguments: ["204 No Content", "304 Not Modified"])
  func `some statuses have no body`(_ status: String) throws {
    let refusal = try refusal("HTTP/1.1 \(status)\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n")
    #expect(refusal.body.isEmpty && refusal.isBodyComplete)
  }

  @Test func `a body without a length ends with the stream`() throws {
    let text = "HTTP/1.1 503 Busy\r\n\r\nsorry"
    guard case .waiting(.refused(let partial)?, atEnd: .refused(let whole)) = try outcome(text) else {
      Issue.record()
      return
    }
    #expect(partial.body == utf8("sorry") && !partial.isBodyComplete)
    #expect(whole.body == utf8("sorry") && whole.isBodyComplete)
  }

  @Test func `chunks are joined, without sizes, extensions and trailers`() throws {
    let text =
      "HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n"
      + "5\r\nsorry\r\n00B;name=\"a;b\"\r\n, but\r\nnot \r\n1 ;x\r\n!\r\n0\r\nExpires: now\r\nX:\r\n\r\n"
    let refusal = try refusal(text)
    #expect(refusal.body == utf8("sorry, but\r\nnot !"))
    #expect(refusal.isBodyComplete && refusal.isBodyDecoded)
  }

  @Test func `chunks in lower case, and with a tab, are read`() throws {
    let refusal = try refusal("HTTP/1.1 403 No\r\nTransfer-Encoding: CHUNKED\r\n\r\na\t\r\n0123456789\r\n0\r\n\r\n")
    #expect(refusal.body == utf8("0123456789") && refusal.isBodyComplete)
  }

  @Test(arguments: [
    "x\r\n", ";a\r\n", "\r\n", "5\n", "5\r\r\n", "5;a\n", "5\r\nsorry!\r\n", "5\r\nsorry\rx", "5\r\nsorry\r\n0\r\n\r\r",
    "5\r\nsorry\r\n0\r\n\n", "5\r\nsorry\r\n0\r\nA: b\n", "5\r\nsorry\r\n0\r\nA: b\r\r", "10000000000000000\r\n",
    "-1\r\n",
    "0x5\r\n",
  ])
  func `malformed chunks end with the refusal and what was read`(_ chunks: String) throws {
    let text = "HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
    guard case .refused(let refusal) = try outcome(text) else {
      Issue.record("\(try outcome(text))")
      return
    }
    #expect(refusal.status == 403 && !refusal.isBodyComplete)
    #expect(refusal.body == (chunks.contains("sorry") ? utf8("sorry") : []))
  }

  @Test func `chunks that are cut short are an incomplete body`() throws {
    let refusal = try refusal("HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\nsorry")
    #expect(refusal.body == utf8("sorry") && !refusal.isBodyComplete)
  }

  @Test func `other transfer codings are kept and said`() throws {
    let chunked = try refusal("HTTP/1.1 403 No\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nzz\r\n0\r\n\r\n")
    #expect(chunked.body == utf8("zz") && chunked.isBodyComplete && !chunked.isBodyDecoded)
    // RFC 9112 §6.3: without a final "chunked" the body ends with the stream; a length is overridden.
    let zipped = try refusal("HTTP/1.1 403 No\r\nTransfer-Encoding: gzip\r\nContent-Length: 1\r\n\r\nzzzz")
    #expect(zipped.body == utf8("zzzz") && zipped.isBodyComplete && !zipped.isBodyDecoded)
    // §6.1: HTTP/1.0 has no transfer codings.
    let old = try refusal("HTTP/1.0 403 No\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
    #expect(old.body == utf8("1\r\nx\r\n"))
  }

  @Test(arguments: [
    "Content-Length: 4\r\nContent-Length: 5", "Content-Length: 4, 5", "Content-Length: -1", "Content-Length: +4",
    "Content-Length: 0x4", "Content-Length: four", "Content-Length:", "Content-Length: 4 4",
  ])
  func `a length that is none ends with the refusal`(_ length: String) throws {
    guard case .refused(let refusal) = try outcome("HTTP/1.1 403 No\r\n\(length)\r\n\r\nsorry") else {
      Issue.record()
      return
    }
    #expect(refusal.status == 403 && refusal.body.isEmpty && !refusal.isBodyComplete)
  }

  @Test func `16 KiB of a body are kept`() throws {
    let capacity = 16 * 1024
    let whole = String(repeating: "b", count: capacity)
    for head in ["Content-Length: 99999999999999999999", "Content-Length: 16385", "X: until the end"] {
      guard case .refused(let refusal) = try outcome("HTTP/1.1 403 No\r\n\(head)\r\n\r\n\(whole)b") else {
        Issue.record()
        continue
      }
      #expect(refusal.body.count == capacity && !refusal.isBodyComplete)
    }
    let exact = try refusal("HTTP/1.1 403 No\r\nContent-Length: 16384\r\n\r\n\(whole)")
    #expect(exact.body.count == capacity && exact.isBodyComplete)
    let chunked = try refusal(
      "HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n4000\r\n\(whole)\r\n1\r\nb\r\n0\r\n\r\n")
    #expect(chunked.body.count == capacity && !chunked.isBodyComplete)
  }

  @Test(arguments: [";a", "0\r\nX: y", "0\r\n"])
  func `extensions and trailers without an end are given up`(_ filler: String) throws {
    let start = filler == ";a" ? "1" : ""
    let line = filler == "0\r\n" ? "X: y\r\n" : filler
    let text =
      "HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n" + start + filler + String(repeating: line, count: 70_000)
    var parser = OpeningResponseParser(request: try OpeningRequest(host: "a", port: 80, isSecure: false))
    #expect(throws: HandshakeViolation.self) {
      try withBytes(of: utf8(text)) { bytes throws(HandshakeViolation) in try parser.receive(bytes) }
    }
  }

  @Test func `a refusal may follow interim responses`() throws {
    let refusal = try refusal("HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 403 No\r\nContent-Length: 1\r\n\r\nx")
    #expect(refusal.status == 403 && refusal.body == utf8("x"))
  }

  @Test func `the end of the stream is described by what was received`() throws {
    let cases: [(String, HandshakeViolation, String)] = [
      (
        "HTTP/1.1 10", .endOfStream(.firstLine(NonHTTPResponse(utf8("HTTP/1.1 10"))), afterInterimResponses: 0),
        "the server ended the stream in the first line of its response: received \"HTTP/1.1 10\""
      ),
      (
        "HTTP/1.1 101 x\r\n", .endOfStream(.header(lineCount: 0), afterInterimResponses: 0),
        "the server ended the stream in the header of its response, after 0 lines"
      ),
      (
        "HTTP/1.1 101 x\r\nA: b\r\nC: ", .endOfStream(.header(lineCount: 1), afterInterimResponses: 0),
        "the server ended the stream in the header of its response, after 1 line"
      ),
      (
        "HTTP/1.1 103 x\r\n\r\n", .endOfStream(.nothing, afterInterimResponses: 1),
        "the server ended the stream after 1 interim response"
      ),
    ]
    for (text, violation, description) in cases {
      #expect(try outcome(text) == .waiting(nil, atEnd: violation))
      #expect(violation.description == description)
    }
    var parser = OpeningResponseParser(request: try OpeningRequest(host: "a", port: 80, isSecure: false))
    #expect(parser.receiveEndOfStream().description == "the server ended the stream without a response")
  }
}
