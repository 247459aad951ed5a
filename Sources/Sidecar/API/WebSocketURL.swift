internal import FoundationEssentials

/// A `ws` URL, taken apart (RFC 6455 §3).
struct WebSocketURL: Sendable, Hashable {
  /// As it was given.
  let text: String
  let host: String
  let port: UInt16
  /// Path and query, as they stand in the request line: never empty.
  let resource: String

  init(_ text: String) throws(WebSocketError) {
    func invalid(_ reason: String) -> WebSocketError { .invalidURL(text, reason: reason) }
    guard let components = URLComponents(string: text) else { throw invalid("it is malformed") }
    switch components.scheme?.lowercased() {
    case "ws": break
    case "wss": throw invalid("TLS (the scheme wss) is not supported yet")
    case nil: throw invalid("it has no scheme; it should begin with ws://")
    case let scheme?: throw invalid("the scheme is \(scheme), and should be ws")
    }
    guard let host = components.host, !host.isEmpty else { throw invalid("it has no host") }
    guard components.user == nil, components.password == nil else {
      throw invalid("it contains user information; set an Authorization header instead")
    }
    guard components.fragment == nil else {
      throw invalid("it has a fragment, which RFC 6455 §3 forbids; write # as %23")
    }
    self.text = text
    // The brackets belong to the URL's syntax, not to the address.
    self.host = host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : host
    guard let port = UInt16(exactly: components.port ?? 80), port != 0 else {
      throw invalid("the port is not from 1 to 65535")
    }
    self.port = port
    var resource = components.percentEncodedPath
    if resource.isEmpty { resource = "/" }
    if let query = components.percentEncodedQuery { resource += "?\(query)" }
    self.resource = resource
  }
}
