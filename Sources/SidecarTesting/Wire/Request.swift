internal import SidecarProtocol

extension TestServer {
  /// A client's valid request to open a WebSocket connection (RFC 6455 §4.1).
  public struct Request: Sendable, Hashable {
    /// The path and query, as they stand in the request line.
    public let target: String
    /// The header fields, in the order in which they arrived.
    public let headers: [HeaderField]
    /// The subprotocols that the client offers, the preferred one first (RFC 6455 §1.9).
    public let subprotocols: [String]
    /// The extensions that the client offers, each with its parameters (RFC 6455 §9.1).
    public let extensions: [String]

    let received: ReceivedOpeningRequest

    /// Compares the bytes of the target and of the header. The rest follows from them.
    public static func == (one: Request, other: Request) -> Bool { one.received == other.received }

    /// Hashes what `==` compares.
    public func hash(into hasher: inout Hasher) { hasher.combine(received) }

    init(_ received: ReceivedOpeningRequest) {
      self.received = received
      target = received.target
      headers = received.headers.fields.map { HeaderField($0.name, $0.value) }
      subprotocols = received.subprotocols
      extensions = received.extensions.map(\.description)
    }

    /// The target without its query.
    public var path: String { String(decoding: target.utf8.prefix { $0 != UInt8(ascii: "?") }, as: UTF8.self) }

    /// The text after the question mark; nil if there is none.
    public var query: String? {
      guard let mark = target.utf8.firstIndex(of: UInt8(ascii: "?")) else { return nil }
      return String(decoding: target.utf8[mark...].dropFirst(), as: UTF8.self)
    }

    /// Looks up a header field.
    ///
    /// - Parameter name: The name of the field, in any case.
    /// - Returns: The value of the first such field; nil if there is none.
    public func header(_ name: String) -> String? { received.headers.first(name) }

    /// Returns the answer to the client's offers of compression; nil if it has none, or if the server declines them.
    func deflateAnswer(_ compression: Compression?) -> PermessageDeflate.Answer? {
      guard let compression else { return nil }
      return PermessageDeflate.answer(
        to: received.extensions,
        preference: PermessageDeflate.Agreement(
          serverNoContextTakeover: compression.serverNoContextTakeover,
          clientNoContextTakeover: compression.clientNoContextTakeover,
          serverMaxWindowBits: compression.serverMaxWindowBits, clientMaxWindowBits: compression.clientMaxWindowBits))
    }

    /// The value of `Sec-WebSocket-Accept` that answers the request (RFC 6455 §4.2.2, item 5.4).
    public var acceptValue: String { received.key.accept }
  }
}
