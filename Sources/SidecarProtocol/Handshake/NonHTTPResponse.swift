/// Bytes that a server sent instead of an HTTP/1 response, and what they look like.
package struct NonHTTPResponse: Hashable, Sendable {
  /// The most bytes that are kept.
  static let capacity = 64

  /// The first bytes, up to 64: those that had arrived when the first wrong one was seen.
  package let bytes: [UInt8]

  package init(_ bytes: some Sequence<UInt8>) {
    self.bytes = Array(bytes.prefix(Self.capacity))
  }

  /// Names the protocol that the bytes probably belong to, and says what to do about it; nil if they tell nothing.
  package var guess: String? {
    if isTLS { return "this is a TLS port: use wss" }
    if isHTTP2 { return "this is HTTP/2: the server must offer HTTP/1.1 here" }
    if isReplyCode { return "a greeting in the style of SMTP or FTP" }
    return Self.textualProtocols.first { begins(with: $0.prefix) }?.guess
  }

  /// Protocols whose first bytes from a server are text.
  private static let textualProtocols: [(prefix: StaticString, guess: String)] = [
    ("HTTP/", "an HTTP version other than 1"), ("SSH-", "this is an SSH port"), ("RTSP/", "this is an RTSP port"),
    ("SIP/", "this is a SIP port"), ("ICY ", "this is a SHOUTcast port"), ("+OK", "this is a POP3 or Redis port"),
    ("-ERR", "this is a POP3 or Redis port"), ("* OK", "this is an IMAP port"), ("RFB ", "this is a VNC port"),
    ("GET ", "the request came back: the peer echoes it, or is a client itself"),
    ("<", "a page without a status line, as in HTTP/0.9"),
  ]

  /// A record of type 20 to 23, version 3.0 to 3.4 (RFC 8446 §5.1); most often an alert or a handshake message.
  private var isTLS: Bool {
    guard let type = bytes.first, (20...23).contains(type) else { return false }
    return bytes.count == 1 || bytes[1] == 3 && (bytes.count == 2 || bytes[2] <= 4)
  }

  /// A SETTINGS or GOAWAY frame on stream 0 (RFC 9113 §3.4, §4.1), or the client's preface.
  private var isHTTP2: Bool {
    if begins(with: "PRI * HTTP/2") || begins(with: "HTTP/2") { return true }
    guard bytes.count >= 9, bytes[0] == 0 else { return false }
    return (bytes[3] == 4 || bytes[3] == 7) && bytes[5...8].allSatisfy { $0 == 0 }
  }

  /// Three digits, then a space or a hyphen (RFC 5321 §4.2, RFC 959 §4.2).
  private var isReplyCode: Bool {
    let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
    return bytes.count >= 4 && bytes[..<3].allSatisfy(digits.contains)
      && (bytes[3] == UInt8(ascii: " ") || bytes[3] == UInt8(ascii: "-"))
  }

  private func begins(with prefix: StaticString) -> Bool {
    bytes.withUnsafeBytes { $0.hasPrefix(prefix) }
  }
}

extension NonHTTPResponse: CustomStringConvertible {
  /// The bytes as text if they are printable, in hexadecimal otherwise, and the guess.
  package var description: String {
    shownBytes + (guess.map { ": \($0)" } ?? "")
  }

  /// The bytes alone.
  var shownBytes: String {
    let line = bytes.prefix { $0 != UInt8(ascii: "\r") && $0 != UInt8(ascii: "\n") }
    if !line.isEmpty, line.allSatisfy({ (0x20...0x7E).contains($0) }) {
      return String(decoding: line, as: UTF8.self).quotedForDisplay
    }
    let shown = bytes.prefix(16).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
    return shown + (bytes.count > 16 ? " …" : "")
  }
}
