internal import SidecarProtocol

/// The parts of a `ws` URL (RFC 6455 §3, RFC 3986).
///
/// Parsed by hand: `URLComponents` decodes hosts only in programs that link all of Foundation, encodes escapes a second
/// time, and loses a port that overflows.
struct WebSocketURL: Sendable, Hashable {
  /// As it was given. It may hold secrets: see ``redacted``.
  private let text: String
  /// A name in ASCII, an IPv4 address, or an IPv6 address without brackets, perhaps with a zone.
  let host: String
  let port: UInt16
  /// The path and query as they are written in the request line. Never empty.
  let resource: String

  /// The URL as errors show it: without user information and query.
  var redacted: String { URLRedaction.redact(text) }

  /// Parses a URL. White space around it is ignored.
  ///
  /// - Throws: ``WebSocketError/invalidURL(_:reason:)``, which shows neither user information nor the query.
  init(_ text: String) throws(WebSocketError) {
    let text = text.trimmingWhitespace
    do throws(URLSyntaxError) {
      let parts = try URLParts(text)
      host = try URLHost.parse(parts.host)
      port = try parts.port.map(Self.parsePort) ?? 80
      let path = try URLEncoding.encode(parts.path, allowing: "/")
      var resource = path.isEmpty ? "/" : path
      if let query = parts.query { resource += try "?" + URLEncoding.encode(query, allowing: "/?") }
      self.resource = resource
      self.text = text
    } catch {
      throw .invalidURL(URLRedaction.redact(text), reason: error.reason)
    }
  }

  private static func parsePort(_ digits: ArraySlice<UInt8>) throws(URLSyntaxError) -> UInt16 {
    // RFC 3986 §3.2.3: an empty port is the scheme's own.
    if digits.isEmpty { return 80 }
    var port = 0
    for digit in digits {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit), port <= 65_535 else { throw .invalidPort }
      port = 10 * port + Int(digit - UInt8(ascii: "0"))
    }
    guard (1...65_535).contains(port) else { throw .invalidPort }
    return UInt16(port)
  }
}
