internal import SidecarProtocol

extension TestServer {
  /// One header field of a request or an answer.
  public struct HeaderField: Sendable, Hashable {
    /// The name, as it was or will be spelled; its case does not matter (RFC 9110 §5.1).
    public var name: String
    /// The value.
    public var value: String

    /// Makes a field. Nothing is checked.
    public init(_ name: String, _ value: String) {
      self.name = name
      self.value = value
    }

    /// Compares the bytes of names and values.
    public static func == (one: HeaderField, other: HeaderField) -> Bool {
      one.name.hasSameBytes(as: other.name) && one.value.hasSameBytes(as: other.value)
    }

    /// Hashes what `==` compares.
    public func hash(into hasher: inout Hasher) {
      hasher.combine(bytesOf: name)
      hasher.combine(bytesOf: value)
    }
  }

  /// A client's request to open a WebSocket connection (RFC 6455 §4.1), which the server found to be right.
  public struct Request: Sendable, Hashable {
    /// The path and query, as in the request line.
    public let target: String
    /// The header fields, in the order in which they came.
    public let headers: [HeaderField]
    /// The subprotocols that the client offers, the preferred one first (RFC 6455 §1.9).
    public let subprotocols: [String]
    /// The extensions that the client offers, each with its parameters (RFC 6455 §9.1).
    public let extensions: [String]

    let received: ReceivedOpeningRequest

    /// Compares the bytes of the target and of the header, from which the rest is read.
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

    /// The text after the question mark; nil without one.
    public var query: String? {
      guard let mark = target.utf8.firstIndex(of: UInt8(ascii: "?")) else { return nil }
      return String(decoding: target.utf8[mark...].dropFirst(), as: UTF8.self)
    }

    /// The value of the first field of this name, whose case does not matter.
    public func header(_ name: String) -> String? { received.headers.first(name) }

    /// What the server answers to the client's offers of compression; nil if it declines, or if there are none.
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

  /// A server's answer to an opening request, right or wrong (RFC 6455 §4.2.2).
  public struct Answer: Sendable, Hashable {
    /// The status code; 101 opens the connection.
    public var status: Int
    /// The reason phrase.
    public var reason: String
    /// The header fields, in their order.
    public var headers: [HeaderField]
    /// What follows the head. Nothing announces its length unless a field does.
    public var body: [UInt8]

    /// Makes an answer. Nothing is checked or added.
    public init(status: Int, reason: String = "", headers: [HeaderField] = [], body: [UInt8] = []) {
      self.status = status
      self.reason = reason
      self.headers = headers
      self.body = body
    }

    /// Makes the answer that opens the connection.
    init(accepting request: Request, subprotocol: String?, deflate: ExtensionElement?, headers: [HeaderField]) {
      let answer = ServerResponse(
        accepting: request.received, subprotocol: subprotocol, deflate: deflate,
        headers: HeaderFields(headers.map { .init($0.name, $0.value) }))
      self.init(
        status: answer.status, reason: answer.reason, headers: answer.headers.fields.map { .init($0.name, $0.value) },
        body: answer.body)
    }

    /// The value of the first field of this name. Setting it replaces the value there, adds a field if there is none, or,
    /// set to nil, removes all of this name.
    public subscript(name: String) -> String? {
      get { headers.first { $0.name.equalsIgnoringCase(name) }?.value }
      set {
        let index = headers.firstIndex { $0.name.equalsIgnoringCase(name) }
        switch (newValue, index) {
        case (nil, _): headers.removeAll { $0.name.equalsIgnoringCase(name) }
        case (let value?, nil): headers.append(HeaderField(name, value))
        case (let value?, let index?): headers[index].value = value
        }
      }
    }

    /// The answer on the wire.
    public var bytes: [UInt8] {
      ServerResponse(
        status: status, reason: reason, headers: HeaderFields(headers.map { .init($0.name, $0.value) }), body: body
      ).bytes
    }
  }
}
