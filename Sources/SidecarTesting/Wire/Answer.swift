internal import SidecarProtocol

extension TestServer {
  /// A server's answer to an opening request, valid or not (RFC 6455 §4.2.2).
  public struct Answer: Sendable, Hashable {
    /// The status code; 101 opens the connection.
    public var status: Int
    /// The reason phrase.
    public var reason: String
    /// The header fields, in order.
    public var headers: [HeaderField]
    /// The bytes after the head. No `Content-Length` is added.
    public var body: [UInt8]

    /// Makes an answer as given: no field is checked or added.
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

    /// The value of the first field of this name, in any case.
    ///
    /// Setting it replaces that value, or adds a field if there is none. Setting nil removes all fields of the name.
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
