import SidecarProtocol
import Testing

/// The whole protocol of a connection, in either role: what each input leads to, in each state.
@Suite struct WebSocketConnectionTests {
  /// A connection, and what it reported.
  private final class Endpoint {
    // Not passed to `#expect`, which copies.
    private var connection: WebSocketConnection
    var sink = BoundedSink()
    /// What was left of the input at a pause.
    var rest: [UInt8] = []

    init(_ connection: consuming WebSocketConnection) { self.connection = connection }

    var role: Role { connection.role }
    var isOpen: Bool { connection.isOpen }
    var canSend: Bool { connection.canSend }
    var canReceive: Bool { connection.canReceive }
    var settledEnd: ConnectionEnd? { connection.settledEnd }
    var inflateBudget: Int {
      get { connection.inflateBudget }
      set { connection.inflateBudget = newValue }
    }
    var automaticReplies: WebSocketConnection.AutomaticReplies {
      get { connection.automaticReplies }
      set { connection.automaticReplies = newValue }
    }

    func accept(deflate: PermessageDeflate.Agreement?) { connection.accept(deflate: deflate) }
    func close(_ payload: ClosePayload) -> ClosingHandshake.Action { connection.close(payload) }
    func takeWithheldAction() -> ClosingHandshake.Action { connection.takeWithheldAction() }
    func streamEnded(_ how: WebSocketConnection.StreamEnd) -> ConnectionEnd { connection.streamEnded(how) }
    func directReadTarget(minimum: Int) -> UnsafeMutableRawBufferPointer? {
      connection.directReadTarget(minimum: minimum)
    }

    /// Returns true if there was nothing to report.
    func didReadDirectly(count: Int) -> Bool {
      guard let event = connection.didReadDirectly(count: count, into: &sink) else { return true }
      sink.note(event)
      return false
    }

    /// Feeds `bytes`, after what an earlier pause has left, up to the next pause.
    func receive(_ bytes: [UInt8] = []) {
      var bytes = rest + bytes
      rest = []
      bytes.withUnsafeMutableBytes { bytes in
        guard var input = ReadCursor(bytes) else { return }
        while let event = connection.receive(&input, into: &sink) {
          if case .pause = event {
            sink.lines.append("pause")
            rest = Array(input.remaining)
            return
          }
          sink.note(event)
          if case .requested = event { connection.accept() }
        }
      }
    }

    /// Returns what was reported since the last call.
    func takeLines() -> [String] {
      defer { sink.lines = [] }
      return sink.lines
    }
  }

  /// Writes down what it is told, and takes as many messages as it has room for.
  private struct BoundedSink: MessageSink {
    var lines: [String] = []
    var room = Int.max

    var isFull: Bool { room == 0 }

    mutating func receiveMessage(_ kind: MessageKind, _ bytes: UnsafeRawBufferPointer) {
      room -= 1
      lines.append("\(kind) \(brief(Array(bytes)))")
    }

    mutating func receiveMessage(_ kind: MessageKind, assembled payload: WebSocketPayload) {
      room -= 1
      lines.append("\(kind) \(brief(Array(payload)))")
    }

    mutating func note(_ event: WebSocketConnection.Event) {
      switch event {
      case .opened(let response): lines.append("opened\(response.deflate == nil ? "" : " with compression")")
      case .requested(let request): lines.append("requested \(request.target)")
      case .handshakeFailed: lines.append("handshake failed")
      case .ping(let payload, let answer): lines.append("ping \(brief(Array(payload)))\(answer ? ", answer" : "")")
      case .pong(let payload): lines.append("pong \(brief(Array(payload)))")
      case .close(let close, let action): lines.append("close \(Self.code(close)), \(Self.text(action))")
      case .violation(let violation, let action):
        lines.append("violation \(violation.closeCode.rawValue), \(Self.text(action))")
      case .pause: lines.append("pause")
      }
    }

    static func text(_ action: ClosingHandshake.Action) -> String {
      "\(action.close.map { "send \(code($0)), " } ?? "")\(action.next)"
    }

    private static func code(_ close: ClosePayload) -> String { close.code.map { "\($0.rawValue)" } ?? "empty" }
  }

  private static func request(deflate: Bool = false) throws -> OpeningRequest {
    try OpeningRequest(
      host: "a", port: 80, isSecure: false, target: "/chat", deflate: deflate ? PermessageDeflate.Offer() : nil)
  }

  private static func response(to request: OpeningRequest, deflate: Bool = false) -> [UInt8] {
    let lines = [
      "HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
      "Sec-WebSocket-Accept: \(request.key.accept)",
    ]
    let all = lines + (deflate ? ["Sec-WebSocket-Extensions: permessage-deflate"] : [])
    return utf8(all.joined(separator: "\r\n") + "\r\n\r\n")
  }

  /// Returns an open connection.
  private func opened(
    _ role: Role, deflate: Bool = false, limits: ProtocolLimits = ProtocolLimits()
  ) throws -> Endpoint {
    let request = try Self.request(deflate: deflate)
    let endpoint: Endpoint
    switch role {
    case .client:
      endpoint = Endpoint(WebSocketConnection(request: request, limits: limits))
      endpoint.receive(Self.response(to: request, deflate: deflate))
    case .server:
      endpoint = Endpoint(WebSocketConnection(acceptingWith: limits))
      endpoint.receive(request.bytes)
    }
    _ = endpoint.takeLines()
    return endpoint
  }

  /// A frame that an endpoint in `role` may receive.
  private func incoming(_ role: Role, _ first: UInt8, _ payload: [UInt8] = []) -> [UInt8] {
    frame(first, payload, key: role == .server ? 0x0102_0304 : nil)
  }

  private let close1000: [UInt8] = [0x03, 0xE8]

  // MARK: The opening handshake

  @Test func `a client is open once the response is complete, and frames may follow in the same read`() throws {
    let request = try Self.request()
    let client = Endpoint(WebSocketConnection(request: request, limits: ProtocolLimits()))
    #expect(client.role == .client)
    #expect(!client.isOpen && !client.canSend && !client.canReceive)
    #expect(client.directReadTarget(minimum: 1) == nil)
    for byte in Self.response(to: request).dropLast() { client.receive([byte]) }
    #expect(client.takeLines() == [])
    client.receive(Self.response(to: request).suffix(1) + frame(0x81, utf8("first")))
    #expect(client.takeLines() == ["opened", "text \"first\""])
    #expect(client.isOpen && client.canSend && client.canReceive)
    #expect(client.settledEnd == nil)
  }

  @Test func `a server is open once it has accepted the request`() throws {
    let server = Endpoint(WebSocketConnection(acceptingWith: ProtocolLimits()))
    #expect(server.role == .server && !server.isOpen)
    #expect(server.settledEnd == nil)
    let request = try Self.request().bytes
    server.receive(Array(request.prefix(20)))
    server.receive(Array(request.dropFirst(20)) + incoming(.server, 0x82, [1, 2]))
    #expect(server.takeLines() == ["requested /chat", "binary 01 02"])
    // A second acceptance changes nothing.
    server.accept(deflate: PermessageDeflate.Agreement())
    #expect(server.isOpen)
  }

  @Test func `a response that is wrong fails the handshake, and what follows is ignored`() throws {
    let request = try Self.request()
    let client = Endpoint(WebSocketConnection(request: request, limits: ProtocolLimits()))
    client.receive(utf8("SSH-2.0\r\n\r\n") + frame(0x81, utf8("no")))
    client.receive(frame(0x81, utf8("no")))
    #expect(client.takeLines() == ["handshake failed"])
    let end = try #require(client.settledEnd)
    #expect(end.code == .abnormalClosure && end.initiator == .us)
    guard case .handshake = end.cause else { return #expect(Bool(false), "\(end)") }
    #expect(client.streamEnded(.byPeer) == end)
  }

  @Test func `a request that is wrong fails the handshake`() {
    let server = Endpoint(WebSocketConnection(acceptingWith: ProtocolLimits()))
    server.receive(utf8("POST / HTTP/1.1\r\nHost: a\r\n\r\n"))
    #expect(server.takeLines() == ["handshake failed"])
    guard case .handshake? = server.settledEnd?.cause else { return #expect(Bool(false)) }
  }

  @Test func `before the handshake is complete there is nothing to close or to answer`() throws {
    let client = Endpoint(WebSocketConnection(request: try Self.request(), limits: ProtocolLimits()))
    #expect(client.close(.empty) == .none)
    #expect(client.takeWithheldAction() == .none)
  }

  // MARK: Pings

  @Test(arguments: [Role.client, .server])
  func `every Ping is to be answered, until a Close frame is sent`(_ role: Role) throws {
    let endpoint = try opened(role)
    endpoint.receive(incoming(role, 0x89, [1]) + incoming(role, 0x89, [2]) + incoming(role, 0x8A, [3]))
    #expect(endpoint.takeLines() == ["ping 01, answer", "ping 02, answer", "pong 03"])
    _ = endpoint.close(.empty)
    endpoint.receive(incoming(role, 0x89, [4]))
    #expect(endpoint.takeLines() == ["ping 04"])
  }

  @Test func `a server that withholds its replies is asked for nothing`() throws {
    let server = try opened(.server)
    server.automaticReplies = []
    server.receive(incoming(.server, 0x89, [1]) + incoming(.server, 0x88, close1000))
    #expect(server.takeLines() == ["ping 01", "close 1000, carryOn"])
    #expect(server.canSend && server.settledEnd == nil)
    #expect(BoundedSink.text(server.takeWithheldAction()) == "send 1000, endStream")
    #expect(server.takeWithheldAction() == .none)
    #expect(!server.canSend && server.settledEnd?.code == .normalClosure)
  }

  @Test func `a violation that was not replied to can be replied to later`() throws {
    let server = try opened(.server)
    server.automaticReplies = .pongs
    // A client must mask (RFC 6455 §5.1).
    server.receive(frame(0x81, utf8("bare")))
    #expect(server.takeLines() == ["violation 1002, carryOn"])
    #expect(BoundedSink.text(server.takeWithheldAction()) == "send 1002, endStream")
    guard case .violation? = server.settledEnd?.cause else { return #expect(Bool(false)) }
  }

  // MARK: Closing

  @Test(arguments: [Role.client, .server])
  func `a Close frame of the peer's is answered once, and nothing after it counts`(_ role: Role) throws {
    let endpoint = try opened(role)
    endpoint.receive(incoming(role, 0x88, close1000) + incoming(role, 0x81, utf8("late")))
    let next = role == .client ? "awaitEndOfStream" : "endStream"
    #expect(endpoint.takeLines() == ["close 1000, send 1000, \(next)"])
    #expect(!endpoint.canSend && !endpoint.canReceive)
    let end = try #require(endpoint.settledEnd)
    #expect(end.code == .normalClosure && end.initiator == .peer && end.cause == .closingHandshake)
    #expect(endpoint.close(.empty) == .none)
    #expect(endpoint.streamEnded(.byUs) == end)
  }

  @Test(arguments: [Role.client, .server])
  func `our Close frame comes first, and messages count until the peer's`(_ role: Role) throws {
    let endpoint = try opened(role)
    #expect(BoundedSink.text(endpoint.close(try ClosePayload(.goingAway))) == "send 1001, awaitClose")
    #expect(endpoint.close(.empty) == .none)
    #expect(!endpoint.canSend && endpoint.canReceive)
    endpoint.receive(incoming(role, 0x81, utf8("still")) + incoming(role, 0x88, close1000))
    let next = role == .client ? "awaitEndOfStream" : "endStream"
    #expect(endpoint.takeLines() == ["text \"still\"", "close 1000, \(next)"])
    #expect(endpoint.settledEnd?.initiator == .us)
  }

  @Test(arguments: [Role.client, .server])
  func `a violation is answered with its code, after the messages before it`(_ role: Role) throws {
    let endpoint = try opened(role)
    endpoint.receive(
      incoming(role, 0x81, utf8("valid")) + incoming(role, 0xF1, [1]) + incoming(role, 0x81, utf8("late")))
    let next = role == .client ? "awaitEndOfStream" : "endStream"
    #expect(endpoint.takeLines() == ["text \"valid\"", "violation 1002, send 1002, \(next)"])
    let end = try #require(endpoint.settledEnd)
    #expect(end.code == .protocolError && end.initiator == .peer)
    #expect(endpoint.streamEnded(.byPeer) == end)
  }

  // MARK: The end of the stream

  @Test(arguments: [WebSocketConnection.StreamEnd.byPeer, .byUs])
  func `a stream that ends early is an abnormal closure`(_ how: WebSocketConnection.StreamEnd) throws {
    let open = try opened(.client)
    #expect(open.streamEnded(how).cause == .streamEnd)
    #expect(open.settledEnd?.code == .abnormalClosure)
    #expect(!open.isOpen && !open.canSend && !open.canReceive)
    // Nothing changes it.
    #expect(open.close(.empty) == .none)
    open.receive(frame(0x81, utf8("late")))
    #expect(open.takeLines() == [])

    let closing = try opened(.client)
    _ = closing.close(.empty)
    #expect(closing.streamEnded(how).initiator == .us)

    let server = Endpoint(WebSocketConnection(acceptingWith: ProtocolLimits()))
    #expect(server.streamEnded(how).initiator == (how == .byUs ? .us : .peer))
  }

  @Test func `a stream that ends during the handshake says what was received`() throws {
    let client = Endpoint(WebSocketConnection(request: try Self.request(), limits: ProtocolLimits()))
    client.receive(utf8("HTTP/1.1 1"))
    guard case .handshake(.endOfStream) = client.streamEnded(.byPeer).cause else {
      return #expect(Bool(false))
    }

    let given = Endpoint(WebSocketConnection(request: try Self.request(), limits: ProtocolLimits()))
    given.receive(utf8("HTTP/1.1 1"))
    #expect(given.streamEnded(.byUs) == .abandoned)

    // The status of a refusal is known although its body never ends.
    let refused = Endpoint(WebSocketConnection(request: try Self.request(), limits: ProtocolLimits()))
    refused.receive(utf8("HTTP/1.1 503 No\r\nContent-Length: 10\r\n\r\nhalf"))
    guard case .handshake(.refused) = refused.streamEnded(.byUs).cause else { return #expect(Bool(false)) }
  }

  // MARK: Pauses

  @Test(arguments: [Role.client, .server])
  func `a full sink pauses between messages, and the rest is received later`(_ role: Role) throws {
    let endpoint = try opened(role)
    endpoint.sink.room = 1
    endpoint.receive(incoming(role, 0x81, utf8("1")) + incoming(role, 0x81, utf8("2")) + incoming(role, 0x89))
    #expect(endpoint.takeLines() == ["text \"1\"", "pause"])
    endpoint.receive()
    #expect(endpoint.takeLines() == ["pause"])
    endpoint.sink.room = 2
    endpoint.receive()
    #expect(endpoint.takeLines() == ["text \"2\"", "ping empty, answer"])
    #expect(endpoint.rest.isEmpty)
  }

  @Test func `what compressed messages come to is budgeted, in the read that opens the connection too`() throws {
    var deflater = Deflater(PermessageDeflate.Agreement(), role: .server)
    var frames: [UInt8] = []
    for _ in 0..<3 {
      var buffer = ByteBuffer()
      [UInt8](repeating: 0, count: 100_000).withUnsafeBytes { deflater.compress($0, into: &buffer) }
      frames += frame(0xC2, Array(buffer.bytes))
    }
    let request = try Self.request(deflate: true)
    let client = Endpoint(WebSocketConnection(request: request, limits: ProtocolLimits()))
    client.inflateBudget = 1000
    client.receive(Self.response(to: request, deflate: true) + frames)
    let lines = client.takeLines()
    #expect(lines.count == 3 && lines[0] == "opened with compression" && lines[2] == "pause", "\(lines)")
    #expect(client.inflateBudget == 1000 - 100_000)
    client.receive()
    #expect(client.takeLines() == ["pause"])
    client.inflateBudget = 200_000
    client.receive()
    #expect(client.takeLines().count == 2)
    #expect(client.rest.isEmpty)
  }

  // MARK: Large messages

  @Test func `the rest of a large message can be read into its memory`() throws {
    let client = try opened(.client)
    let payload = noise(100_000)
    let whole = frame(0x82, payload)
    client.receive(Array(whole.prefix(1000)))
    let target = try #require(client.directReadTarget(minimum: 64 << 10))
    let rest = whole.dropFirst(1000)
    target.copyBytes(from: rest.prefix(target.count))
    let read = min(target.count, rest.count)
    #expect(client.didReadDirectly(count: read))
    client.receive(Array(rest.dropFirst(read)))
    #expect(client.takeLines() == ["binary \(brief(payload))"])
    #expect(client.directReadTarget(minimum: 1) == nil)
  }

  @Test func `a violation in what was read directly is reported`() throws {
    let client = try opened(.client)
    let whole = frame(0x81, [UInt8](repeating: 0x61, count: 99_999) + [0xFF])
    client.receive(Array(whole.prefix(1000)))
    var rest = whole.dropFirst(1000)
    while let target = client.directReadTarget(minimum: 1) {
      let read = min(target.count, rest.count)
      target.copyBytes(from: rest.prefix(read))
      rest = rest.dropFirst(read)
      #expect(client.didReadDirectly(count: read) == !rest.isEmpty)
    }
    #expect(client.takeLines() == ["violation 1007, send 1007, awaitEndOfStream"])
  }
}
