import Glibc
import SidecarTesting
import SidecarTestSupport
import Testing

@Suite(.census, .offThePool) struct `Scripts` {
  /// Starts a server with a script, and opens a connection to it.
  private func open(
    _ steps: [TestServer.Step], options: TestServer.Options = .init()
  ) throws -> (TestServer, RawClient, TestServer.Connection) {
    let server = try TestServer(behavior: .script(steps), options: options)
    let client = try RawClient(server.port)
    client.open()
    return (server, client, try server.connection())
  }

  @Test func `steps are taken in order`() throws {
    let (server, client, connection) = try open([
      .open, .send("one"), .receiveMessage, .send("two", fragmentSize: 2),
      .receiveMessage { message in ["re: \(message)"] }, .sendClose(4001, reason: "enough"), .receiveClose,
    ])
    #expect(client.receive(count: 5) == RawFrame.text("one").bytes)
    client.send(RawFrame.text("go on").masked())
    #expect(
      client.receive(count: 7) == RawFrame.text("tw", fin: false).bytes + RawFrame.continuation([0x6F], fin: true).bytes
    )
    client.send(RawFrame.text("x").masked())
    #expect(client.receive(count: 7) == RawFrame.text("re: x").bytes)
    #expect(client.receive(count: 10) == RawFrame.close(4001, reason: "enough").bytes)
    client.send(RawFrame.close(4001).masked())
    #expect(client.receiveToEnd() == ([], 0))
    client.close()
    #expect(try connection.scriptEnded() == .finished)
    #expect(try connection.ended() == .init(stream: .endOfStream, close: .init(code: 4001), isClean: true))
    #expect(server.stop())
  }

  @Test func `the answer and the first frames can be sent together`() throws {
    let server = try TestServer(behavior: .script([.together([.open, .send("at once"), .ping([1])])]))
    let client = try RawClient(server.port)
    client.send(RawClient.request())
    let bytes = client.receive() ?? []
    #expect(bytes.suffix(12).elementsEqual(RawFrame.text("at once").bytes + RawFrame.ping([1]).bytes))
    #expect(server.stop())
  }

  @Test func `dribbled bytes arrive in pieces, at their interval`() throws {
    let interval = Duration.milliseconds(2)
    let start = ContinuousClock.now
    let (server, client, connection) = try open([
      .open, .dribble(RawFrame.text("slowly").bytes, chunk: 3, interval: interval),
    ])
    #expect(client.receive(count: 8) == RawFrame.text("slowly").bytes)
    // Three pieces. The first one is sent at once.
    #expect(ContinuousClock.now - start >= interval * 2)
    #expect(try connection.scriptEnded() == .finished)
    #expect(server.stop())
  }

  @Test func `the whole answer can be dribbled`() throws {
    let server = try TestServer(
      behavior: .script([.dribble(chunk: 1, interval: .microseconds(10), [.open, .send("x")])]))
    let client = try RawClient(server.port)
    #expect(client.open().hasPrefix("HTTP/1.1 101 "))
    #expect(client.receive(count: 3) == RawFrame.text("x").bytes)
    #expect(server.stop())
  }

  @Test func `steps are repeated a number of times, for a time, or until the client has gone`() throws {
    let (server, client, _) = try open([
      .open, .repeat(times: 3, [.send("a"), .repeat(times: 0, [.send("no")])]), .send("b"),
    ])
    #expect(client.receive(count: 12) == (["a", "a", "a", "b"] as [String]).flatMap { RawFrame.text($0).bytes })
    #expect(server.stop())

    let (timed, timedClient, timedConnection) = try open([
      .open, .repeat(for: .milliseconds(5), [.send("t"), .wait(.milliseconds(1))]), .sendClose(),
    ])
    #expect(try timedConnection.scriptEnded() == .finished)
    timedClient.send(RawFrame.close().masked())
    #expect(timedClient.receiveToEnd().bytes.starts(with: RawFrame.text("t").bytes))
    #expect(timed.stop())

    let (endless, endlessClient, endlessConnection) = try open([.open, .repeat([.receiveMessage, .send("and?")])])
    for _ in 0..<3 {
      endlessClient.send(RawFrame.text("this").masked())
      #expect(endlessClient.receive(count: 6) == RawFrame.text("and?").bytes)
    }
    endlessClient.send(RawFrame.close().masked())
    #expect(endlessClient.receiveToEnd() == (RawFrame.close().bytes, 0))
    endlessClient.close()
    #expect(try endlessConnection.scriptEnded() == .cutShort(at: "receiveMessage"))
    #expect(try endlessConnection.ended().isClean)
    #expect(endless.stop())
  }

  @Test func `an endless loop of sends does not starve the server's other connections`() throws {
    let server = try TestServer(behaviors: [.script([.open, .repeat([.send("")])]), .echo])
    let flooded = try RawClient(server.port)
    flooded.open()
    let client = try RawClient(server.port)
    client.open()
    client.send(RawFrame.text("x").masked())
    #expect(client.receive(count: 3) == RawFrame.text("x").bytes)
    #expect(server.stop())
  }

  @Test func `a gate holds a script until the test opens it`() throws {
    let gate = TestServer.Gate()
    let server = try TestServer(
      behavior: .script([.receiveRequest, .waitFor(gate), .open, .waitFor(gate), .send("on")]))
    let client = try RawClient(server.port)
    client.send(RawClient.request())
    let connection = try server.connection()
    _ = try connection.request()
    #expect(!connection.isOpen)
    gate.open()
    #expect(client.receiveHead().hasPrefix("HTTP/1.1 101 "))
    #expect(client.receive(count: 4) == RawFrame.text("on").bytes)
    #expect(server.stop())
  }

  @Test func `a frame can be cut off by an end of the stream or by a reset`() throws {
    for (ending, error) in [(TestServer.Step.endOfStream, 0), (.reset, ECONNRESET)] {
      let gate = TestServer.Gate()
      let (server, client, connection) = try open([
        .open, .cutMidFrame(announced: 500, payload: [1, 2], ending: .waitFor(gate)), ending,
      ])
      #expect(client.receive(count: 6) == [0x82, 126, 0x01, 0xF4, 1, 2])
      gate.open()
      #expect(client.receiveToEnd() == ([], error))
      client.close()
      #expect(try connection.ended().stream == (error == 0 ? .endOfStream : .closedByServer))
      #expect(try connection.scriptEnded() == .finished)
      #expect(server.stop())
    }
  }

  @Test func `the opening request can be answered with anything`() throws {
    let scripts: [([TestServer.Step], String)] = [
      ([.answerRaw("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")], "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
      ([.sendRaw("SSH-2.0-OpenSSH\r\n\r\n")], "SSH-2.0-OpenSSH\r\n\r\n"),
      (
        [.answer { _ in TestServer.Answer(status: 302, reason: "Found", headers: [.init("Location", "/x")]) }],
        "HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n"
      ),
      (
        [
          .open(subprotocol: "unasked", headers: [.init("X-A", "b")]) { answer, _ in
            answer["sec-websocket-accept"] = "no"
          }
        ],
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: no\r\n"
          + "Sec-WebSocket-Protocol: unasked\r\nX-A: b\r\n\r\n"
      ),
      (
        [
          .open { answer, request in
            answer["Upgrade"] = nil; answer["X-Path"] = request.path
          }
        ],
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
          + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nX-Path: /p\r\n\r\n"
      ),
    ]
    for (steps, answer) in scripts {
      let server = try TestServer(behavior: .script(steps))
      let client = try RawClient(server.port)
      #expect(client.open(path: "/p?q") == answer)
      #expect(server.stop())
    }
  }

  @Test func `a script can be a proxy before it is a server`() throws {
    let server = try TestServer(
      behavior: .script([
        .receiveRaw(count: 2), .receiveRaw(through: "\r\n\r\n"), .sendRaw("HTTP/1.1 200 OK\r\n\r\n"), .open, .send("x"),
      ]))
    let client = try RawClient(server.port)
    client.send("CONNECT host:80 HTTP/1.1\r\nHost: host\r\n\r\n" + RawClient.request())
    #expect(client.receiveHead() == "HTTP/1.1 200 OK\r\n\r\n")
    #expect(client.receiveHead().hasPrefix("HTTP/1.1 101 "))
    #expect(client.receive(count: 3) == RawFrame.text("x").bytes)
    let input = try server.connection().rawInput.map { String(decoding: $0, as: UTF8.self) }
    #expect(input == ["CO", "NNECT host:80 HTTP/1.1\r\nHost: host\r\n\r\n"])
    #expect(server.stop())
  }

  @Test func `Pings are answered in a script unless it says otherwise`() throws {
    let (server, client, connection) = try open([
      .open, .receivePing, .ignorePings, .send("1"), .receivePing, .answerPings, .send("2"), .receivePing, .ping([5]),
      .receivePong, .send("3"),
    ])
    client.send(RawFrame.ping([1]).masked())
    #expect(client.receive(count: 6) == RawFrame.pong([1]).bytes + RawFrame.text("1").bytes)
    client.send(RawFrame.ping([2]).masked())
    #expect(client.receive(count: 3) == RawFrame.text("2").bytes)
    client.send(RawFrame.ping([3]).masked())
    #expect(client.receive(count: 6) == RawFrame.pong([3]).bytes + RawFrame.ping([5]).bytes)
    client.send(RawFrame.pong([5]).masked())
    #expect(client.receive(count: 3) == RawFrame.text("3").bytes)
    #expect(connection.pings == [[1], [2], [3]])
    #expect(connection.pongs == [[5]])
    #expect(server.stop())
  }

  @Test func `a stalled server takes no more than fits the system's buffers`() throws {
    var options = TestServer.Options()
    options.receiveBufferSize = 8 * 1024
    let server = try TestServer(behavior: .script([.open, .stall]), options: options)
    let client = try RawClient(server.port, sendBuffer: 8 * 1024)
    client.open()
    client.setTimeout(SO_SNDTIMEO, microseconds: 20_000)
    #expect(client.send([UInt8](repeating: 0, count: 16 << 20)) < 1 << 20)
    #expect(server.stop())
  }

  @Test func `after a stall the script goes on with what arrived meanwhile`() throws {
    let (server, client, connection) = try open([.open, .stall(.milliseconds(5)), .receiveMessage, .send("awake")])
    client.send(RawFrame.text("wake up").masked())
    #expect(client.receive(count: 7) == RawFrame.text("awake").bytes)
    #expect(connection.messages == ["wake up"])
    #expect(server.stop())
  }

  @Test func `a script that stops reading can still send`() throws {
    let gate = TestServer.Gate()
    let (server, client, connection) = try open([
      .open, .stopReading, .send("deaf"), .waitFor(gate), .resumeReading, .receiveMessage,
    ])
    client.send(RawFrame.text("hello?").masked())
    #expect(client.receive(count: 6) == RawFrame.text("deaf").bytes)
    #expect(connection.messages.isEmpty)
    gate.open()
    #expect(try connection.messages(count: 1) == ["hello?"])
    #expect(try connection.scriptEnded() == .finished)
    #expect(server.stop())
  }

  @Test func `a server can end its half of the stream and go on reading`() throws {
    let (server, client, connection) = try open([.open, .endOfStream, .receiveMessage, .waitForEndOfStream, .close])
    #expect(client.receiveToEnd() == ([], 0))
    client.send(RawFrame.text("still here").masked())
    #expect(try connection.messages(count: 1) == ["still here"])
    client.shutdownWrite()
    #expect(try connection.scriptEnded() == .finished)
    #expect(try connection.ended().stream == .endOfStream)
    #expect(server.stop())
  }

  @Test func `a client that goes away cuts the script short`() throws {
    for (leave, stream) in [
      ({ $0.close() }, TestServer.Ending.Stream.endOfStream), ({ $0.reset() }, .reset),
    ] as [((RawClient) -> Void, TestServer.Ending.Stream)] {
      let (server, client, connection) = try open([.open, .receiveMessage, .send("never")])
      leave(client)
      #expect(try connection.ended() == .init(stream: stream, close: nil, isClean: false))
      #expect(try connection.scriptEnded() == .cutShort(at: "receiveMessage"))
      #expect(server.stop())
    }
  }

  @Test func `a stalled server still sees a reset by the client`() throws {
    let (server, client, connection) = try open([.open, .stall])
    client.send(RawFrame.text("unread").masked())
    client.reset()
    #expect(try connection.ended().stream == .reset)
    #expect(try connection.scriptEnded() == .cutShort(at: "stall"))
    #expect(server.stop())
  }

  @Test func `a test can give a connection more steps at any time`() throws {
    let server = try TestServer(behavior: .echo)
    let client = try RawClient(server.port)
    client.open()
    let connection = try server.connection()
    #expect(try connection.scriptEnded() == .finished)
    connection.perform([.send("one"), .receiveMessage, .send("three")])
    #expect(client.receive(count: 5) == RawFrame.text("one").bytes)
    client.send(RawFrame.text("two").masked())
    #expect(client.receive(count: 7) == RawFrame.text("three").bytes)
    #expect(try connection.scriptEnded() == .finished)
    client.send(RawFrame.text("echo?").masked())
    #expect(client.receive(count: 7) == RawFrame.text("echo?").bytes)
    connection.perform([.sendClose(.goingAway)])
    #expect(client.receive(count: 4) == RawFrame.close(1001).bytes)
    client.send(RawFrame.text("late").masked().bytes + RawFrame.close(1001).masked().bytes)
    #expect(client.receiveToEnd() == ([], 0))
    client.close()
    #expect(try connection.ended().isClean)
    #expect(connection.messages == ["two", "echo?", "late"])
    #expect(server.stop())
    connection.perform([.send("too late")])
  }

  @Test func `a step is sent between two frames of a fire hose, and Close ends it`() throws {
    let server = try TestServer(behavior: .fireHose(message: .binary([UInt8](repeating: 1, count: 100_000))))
    let client = try RawClient(server.port)
    client.open()
    let connection = try server.connection()
    try connection.sendingBlocked()
    connection.perform([.send("between")])
    connection.perform([.sendClose(4000)])
    let bytes = client.receive(through: RawFrame.close(4000).bytes)
    client.send(RawFrame.close(4000).masked())
    #expect(client.receiveToEnd() == ([], 0))
    let others = ServerFrame.parse(bytes).filter { $0.payload != [UInt8](repeating: 1, count: 100_000) }
    #expect(others == [ServerFrame(.text("between")), ServerFrame(.close(4000))])
    client.close()
    #expect(try connection.ended().isClean)
    #expect(server.stop())
  }
}
