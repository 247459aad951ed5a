import Testing
import SidecarProtocol

/// What answers may not be HTTP at all.
@Suite struct NonHTTPResponseTests {
  /// Feeds the bytes one at a time; returns how many were accepted, and the violation.
  private func firstWrong(_ bytes: [UInt8], after head: String = "") throws -> (offset: Int, HandshakeViolation)? {
    var parser = OpeningResponseParser(request: try OpeningRequest(host: "a", port: 80, isSecure: false))
    for (offset, byte) in (utf8(head) + bytes).enumerated() {
      do throws(HandshakeViolation) {
        _ = try withBytes(of: [byte]) { bytes throws(HandshakeViolation) in try parser.receive(bytes) }
      } catch {
        return (offset - head.utf8.count, error)
      }
    }
    return nil
  }

  @Test(arguments: [
    ("\r\n", 0), ("SSH-2.0-x", 0), ("HTTP 101", 4), ("HTTP/2 101", 5), ("HTTP/0.9", 5), ("HTTP/1 101", 6),
    ("http/1.1", 0), ("H\u{0}", 1), ("<html>", 0), (" HTTP/1.1", 0),
  ])
  func `the first byte that cannot be right decides`(_ text: String, _ offset: Int) throws {
    for head in ["", "HTTP/1.1 100 Continue\r\n\r\n"] {
      let (found, violation) = try #require(try firstWrong(utf8(text), after: head))
      #expect(found == offset)
      #expect(violation == .notHTTP(NonHTTPResponse(utf8(text)[...offset])))
    }
  }

  @Test(arguments: [
    ([0x15, 3, 1, 0, 2, 2, 0x46], "15 03 01 00 02 02 46: this is a TLS port: use wss"),
    ([0x16, 3], "16 03: this is a TLS port: use wss"), ([0x15], "15: this is a TLS port: use wss"),
    ([0x15, 4], "15 04"), ([0x15, 3, 9], "15 03 09"), ([], ""),
    (
      [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0x64],
      "00 00 06 04 00 00 00 00 00 00 03 00 00 00 64: this is HTTP/2: the server must offer HTTP/1.1 here"
    ),
    ([0, 0, 6, 5, 0, 0, 0, 0, 0], "00 00 06 05 00 00 00 00 00"),
    ([0, 0, 6, 4, 0, 0, 0, 0, 1], "00 00 06 04 00 00 00 00 01"),
    (Array(repeating: 1, count: 100), "01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 …"),
  ])
  func `bytes are shown, with what they look like`(_ bytes: [UInt8], _ description: String) {
    #expect(NonHTTPResponse(bytes).description == description)
  }

  @Test(arguments: [
    ("SSH-2.0-OpenSSH_9\r\n", "\"SSH-2.0-OpenSSH_9\": this is an SSH port"),
    ("220 mail.example ESMTP\r\n", "\"220 mail.example ESMTP\": a greeting in the style of SMTP or FTP"),
    ("220-ftp\r\n", "\"220-ftp\": a greeting in the style of SMTP or FTP"), ("220", "\"220\""),
    ("HTTP/2 200\r\n", "\"HTTP/2 200\": this is HTTP/2: the server must offer HTTP/1.1 here"),
    ("PRI * HTTP/2.0\r\n", "\"PRI * HTTP/2.0\": this is HTTP/2: the server must offer HTTP/1.1 here"),
    ("HTTP/3 200", "\"HTTP/3 200\": an HTTP version other than 1"),
    ("<html>", "\"<html>\": a page without a status line, as in HTTP/0.9"),
    ("GET / HTTP/1.1\r\n", "\"GET / HTTP/1.1\": the request came back: the peer echoes it, or is a client itself"),
    ("hello", "\"hello\""), ("\u{1B}[31m", "1b 5b 33 31 6d"),
  ])
  func `text is shown, with what it looks like`(_ text: String, _ description: String) {
    #expect(NonHTTPResponse(utf8(text)).description == description)
  }

  @Test func `all that has arrived is shown`() throws {
    var parser = OpeningResponseParser(request: try OpeningRequest(host: "a", port: 80, isSecure: false))
    let violation = HandshakeViolation.notHTTP(NonHTTPResponse([0x15, 3, 1, 0, 2, 2, 0x46]))
    #expect(throws: violation) {
      try withBytes(of: [0x15, 3, 1, 0, 2, 2, 0x46]) { bytes throws(HandshakeViolation) in try parser.receive(bytes) }
    }
    #expect(
      violation.description
        == "the response is not HTTP/1.1: received 15 03 01 00 02 02 46: this is a TLS port: use wss")
  }
}
