// Links all of Foundation, which must not change how hosts are read.
import Foundation
import Testing

@testable import Sidecar

@Suite struct WebSocketURLTests {
  /// Why the URL is refused; nil if it is not.
  private func refusal(_ text: String) -> (shown: String, reason: String)? {
    do throws(WebSocketError) {
      _ = try WebSocketURL(text)
      return nil
    } catch {
      guard case .invalidURL(let shown, let reason) = error else { return nil }
      return (shown, reason)
    }
  }

  // MARK: Path and query

  @Test(arguments: [
    ("ws://a", "/"), ("ws://a?q", "/?q"), ("ws://a/?", "/?"), ("ws://a/x?f=a%20b|c", "/x?f=a%20b%7Cc"),
    ("ws://a/?token=1|5%7C211", "/?token=1%7C5%7C211"), ("ws://a/é%20b", "/%C3%A9%20b"), ("ws://a/%c3%A9", "/%c3%A9"),
    ("ws://a/?q=日|%7c", "/?q=%E6%97%A5%7C%7c"), ("ws://a/a;b,c=d@e:f!$&'()*+~", "/a;b,c=d@e:f!$&'()*+~"),
    ("ws://a/x?a/b?c", "/x?a/b?c"), ("ws://a/\"<>\\^`{}[]", "/%22%3C%3E%5C%5E%60%7B%7D%5B%5D"),
    ("ws://a/a/../b//c", "/a/../b//c"), ("ws://a/e\u{301}", "/e%CC%81"),
    ("ws://a/👩‍👧", "/%F0%9F%91%A9%E2%80%8D%F0%9F%91%A7"),
  ])
  func `escapes survive, and what must be encoded is encoded once`(_ text: String, _ resource: String) throws {
    let url = try WebSocketURL(text)
    #expect(url.resource == resource)
    // What was encoded is not encoded again.
    #expect(try WebSocketURL("ws://a" + url.resource).resource == resource)
  }

  @Test(arguments: [("ws://a/?u=100%", 13), ("ws://a/%2", 7), ("ws://a/%zz", 7), ("ws://a/%%20", 7), ("ws://a/%+1", 7)])
  func `a percent sign that begins no escape is refused`(_ text: String, _ offset: Int) throws {
    let reason = try #require(refusal(text)?.reason)
    #expect(
      reason == "the % at byte \(offset) is not followed by two hexadecimal digits; a percent sign is written %25")
  }

  @Test(arguments: [" ", "\n", "\r\n", "\t \n", "\u{A0}", "\u{2028}", "\u{3000}", "\u{FEFF}", "\u{200B}", "\u{C}"])
  func `white space around a URL is ignored, and refused within`(_ blank: String) throws {
    for text in ["\(blank)ws://a/b", "ws://a/b\(blank)", "\(blank)ws://a/b\(blank)"] {
      #expect(try WebSocketURL(text).resource == "/b")
    }
    for text in ["ws://a/b\(blank)c", "ws://a/?b\(blank)c", "ws:\(blank)//a", "ws://a\(blank)b/"] {
      #expect(try #require(refusal(text)).reason.hasPrefix("it has white space or a control character at byte "))
    }
  }

  @Test(arguments: ["ws://a/\u{0}", "ws://a/\u{1B}", "ws://a/\u{7F}", "ws://a/\u{9B}", "\u{0}ws://a/"])
  func `control characters are refused`(_ text: String) {
    #expect(refusal(text)?.reason.hasPrefix("it has white space or a control character") == true)
  }

  @Test func `a fragment is refused`() {
    for text in ["ws://a/#b", "ws://a/?q#", "ws://a#b"] {
      #expect(refusal(text)?.reason == "it has a fragment, which RFC 6455 §3 forbids; write # as %23")
    }
  }

  // MARK: Host

  @Test(arguments: [
    ("localhost", "localhost"), ("localhost.", "localhost."), ("Example.COM", "Example.COM"),
    ("xn--bcher-kva.localhost", "xn--bcher-kva.localhost"), ("_service.a", "_service.a"),
    ("ex%61mple.com", "example.com"),
    ("127.0.0.1", "127.0.0.1"), ("127.0.0.1.", "127.0.0.1"), ("1.2.3.4.example", "1.2.3.4.example"), ("[::1]", "::1"),
    ("[2001:DB8::1:0]", "2001:DB8::1:0"), ("[::]", "::"), ("[1::]", "1::"), ("[::ffff:127.0.0.1]", "::ffff:127.0.0.1"),
    ("[1:2:3:4:5:6:7:8]", "1:2:3:4:5:6:7:8"), ("[fe80::1%25eth0]", "fe80::1%eth0"), ("[fe80::1%eth0]", "fe80::1%eth0"),
    ("[1:2:3:4:5:6:1.2.3.4]", "1:2:3:4:5:6:1.2.3.4"), ("[1:2:3:4:5:6:7::]", "1:2:3:4:5:6:7::"),
  ])
  func `names and addresses are taken`(_ text: String, _ host: String) throws {
    #expect(try WebSocketURL("ws://\(text)/").host == host)
    let url = try WebSocketURL("ws://\(text):9000/")
    #expect(url.host == host && url.port == 9000)
    // They are what a request can be made of, too.
    #expect(throws: Never.self) { try WebSocketConfiguration().request(to: url) }
  }

  @Test(arguments: [
    "", ":80", "a..b", ".a", ".", "a%00b", "a%20b", "a%", "a%ff", "256.1.1.1", "127.1", "0x7f.1", "2130706433",
    "1.2.3.4.5", "127.0.0.01", "1.2.3.", "0x", "[", "[]", "[1:2]", "[::zz]", "[1::2::3]", "[1:2:3:4:5:6:7:8:9]",
    "[12345::]",
    "[::1%25]", "[::1%]", "[::1%25a b]", "[:::1]", "[1.2.3.4::]", "[1::2:]", "[::1.2.3]", "[:1]", "[1:]", "[v1.a]",
    "[::1]a", "::1", "1::2", "a:b:c", "a|b", "a^b",
    String(repeating: "a", count: 64), String(repeating: "a.", count: 127) + "ab",
  ])
  func `what is no host is refused`(_ host: String) {
    #expect(refusal("ws://\(host)/") != nil)
  }

  @Test(arguments: [
    ("bücher.localhost", "xn--bcher-kva.localhost"), ("BÜCHER.example", "xn--bcher-kva.example"),
    ("b%C3%BCcher.example", "xn--bcher-kva.example"), ("straße.de", "xn--strae-oqa.de"),
    ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
    ("пример.испытание", "xn--e1afmkfd.xn--80akhbyknj4f"), ("παράδειγμα.δοκιμή", "xn--hxajbheg2az3al.xn--jxalpdlp"),
    ("실례.테스트", "xn--9n2bp8q.xn--9t4b11yi5a"), ("faß.a", "xn--fa-hia.a"),
  ])
  func `a name beyond ASCII is refused with the spelling to use`(_ host: String, _ spelling: String) {
    #expect(refusal("ws://\(host)/")?.reason == "the host is not ASCII; write it as \(spelling)")
  }

  @Test(arguments: [
    "bu\u{308}cher.a", "ｅｘａｍｐｌｅ.com", "a。b.c", "☃.net", "ﬁ.a", "\u{1100}\u{1161}.a",
    "é\(String(repeating: "a", count: 63)).b",
  ])
  func `a name that needs the tables of IDNA is refused without a spelling`(_ host: String) {
    #expect(refusal("ws://\(host)/")?.reason == "the host is not ASCII; write it in its ASCII form, xn--…")
  }

  // MARK: Port and scheme

  @Test(arguments: [("", 80), (":", 80), (":1", 1), (":00080", 80), (":65535", 65_535)])
  func `ports go from 1 to 65535`(_ text: String, _ port: UInt16) throws {
    #expect(try WebSocketURL("ws://a\(text)/").port == port)
  }

  @Test(arguments: ["0", "65536", "99999999999999999999", "-1", "+80", "8o", "80a", "٨٠"])
  func `what is no port is refused`(_ port: String) {
    #expect(refusal("ws://a:\(port)/")?.reason == "the port is not a number from 1 to 65535")
  }

  @Test(arguments: [
    ("localhost:8080/x", "it has no scheme; did you mean ws://localhost:8080/x?"),
    ("a/b", "it has no scheme; did you mean ws://a/b?"), ("//a/b", "it has no scheme; did you mean ws://a/b?"),
    ("http://a/b?c", "the scheme is http; did you mean ws://a/b?…?"),
    ("HTTPS://a", "the scheme is https, and TLS (the scheme wss) is not supported yet"), ("", "it is empty"),
    ("ftp://a", "the scheme is ftp, and should be ws"), ("wss://a", "TLS (the scheme wss) is not supported yet"),
    ("ws:///a", "it has no host"),
    ("a b://c", "it has white space or a control character at byte 1; percent-encode it"),
  ])
  func `another scheme, or none, is refused with what may be meant`(_ text: String, _ reason: String) {
    #expect(refusal(text)?.reason == reason)
  }

  @Test func `the scheme is compared without case`() throws {
    #expect(try WebSocketURL("WS://a/").host == "a")
  }

  // MARK: Secrets

  @Test(arguments: [
    ("ws://user:s3cret@a/b", "ws://…@a/b"), ("ws://s3cret@a:80/", "ws://…@a:80/"), ("ws://a:b@s3cret@c/", "ws://…@c/"),
    ("ws://u:p/s3cret@a/", "ws://…@a/"), ("ws://u:s3cret/p@a/", "ws://…@a/"), ("ws://u:1234/s3cret@a/%", "ws://…@a/%"),
    ("ws://u:s3cret#p@a/", "ws://…@a/"), ("ws://u:s3cret?p@a/", "ws://…@a/"), ("u:s3cret@a/b", "…@a/b"),
    ("http://u:s3cret@a/b", "http://…@a/b"), ("ws://u:s3cret@[::zz]/", "ws://…@[::zz]/"),
    ("ws://a/%?token=s3cret", "ws://a/%?…"), ("ws://a/%#s3cret", "ws://a/%#…"),
    ("ws://a/%?mail=x@s3cret", "ws://a/%?…"), ("ws://a:80/%?mail=x@s3cret", "ws://a:80/%?…"),
    ("ws://a/@b%", "ws://a/@b%"),
    ("ws://[::1]:80/@b%", "ws://[::1]:80/@b%"), ("  ws://u:s3cret@a/\n", "ws://…@a/"),
    ("ws://u:s3cret\n@a/", "ws://…@a/"), ("ws://\u{1B}[31m/%", "ws://\\u{1b}[31m/%"),
  ])
  func `errors show neither user information nor the query`(_ text: String, _ shown: String) throws {
    let (found, reason) = try #require(refusal(text))
    #expect(found == shown)
    let error = WebSocketError.invalidURL(found, reason: reason)
    var dumped = ""
    dump(error, to: &dumped)
    for text in ["\(error)", String(reflecting: error), dumped, error.localizedDescription] {
      #expect(!text.contains("s3cret"))
    }
  }
}
