import Glibc
import SidecarTesting
import Testing

@Suite(.timeLimit(.minutes(2))) struct `sidecar connect` {
  @Test func `ten thousand lines come back unchanged and in order`() async throws {
    try await withTestServer(.echo) { server in
      let lines = (0..<10_000).map { "\($0) \(String(repeating: "x", count: $0 % 300)) \\n \"q\" ü\t漢" }
      let finished = try await run("connect", "--linger", "0.2", server.url, input: bytes(of: lines))
      #expect(finished.code == 0)
      #expect(finished.errors.isEmpty)
      #expect(finished.lines.elementsEqual(lines) { $0 == $1 })
      #expect(try await server.connection(0).ended().isClean)
    }
  }

  @Test func `a line may be as long as it likes, and the last one needs no end`() async throws {
    try await withTestServer(.echo) { server in
      let lines = ["", String(repeating: "long ", count: 1_000_000), "last"]
      let input = Array(lines.joined(separator: "\n").utf8)
      let finished = try await run("connect", "--linger", "0.2", server.url, input: input)
      #expect(finished.code == 0)
      #expect(finished.lines.elementsEqual(lines) { $0 == $1 })
    }
  }

  @Test func `replies that are slow to come are waited for`() async throws {
    // The server reads nothing for a while, and answers the Ping behind the lines only then.
    try await withTestServer(.script([.open, .stall(.milliseconds(700)), .continue(as: .echo)])) { server in
      let finished = try await run("connect", "--linger", "0.1", server.url, input: bytes(of: ["a", "b"]))
      #expect(finished.code == 0)
      #expect(finished.output == "a\nb\n")
    }
  }

  @Test func `what a stranger sends is shown as one line that can do no harm`() async throws {
    let message = WebSocketMessage.text("\u{1B}]0;owned\u{7}\r\nnext\t\u{9B}31m \u{202E}rtl\u{2028} ok ü 漢 “q” \\n")
    try await withTestServer(.script([.open, .send(message), .send([0xCA, 0xFE]), .sendClose()])) { server in
      let finished = try await run("connect", "--keep-open", server.url)
      #expect(
        finished.output == #"""
          \u{1b}]0;owned\u{7}\r\nnext	\u{9b}31m \u{202e}rtl\u{2028} ok ü 漢 “q” \n
          (binary) 2 bytes: ca fe

          """#)
      #expect(finished.code == 0)
    }
  }

  @Test func `raw output is what was sent`() async throws {
    try await withTestServer(.script([.open, .send("\u{1B}[1m"), .send([0xCA, 0xFE, 0x41]), .sendClose()])) { server in
      let finished = try await run("connect", "--raw", "--binary-output", "hex", "--keep-open", server.url)
      #expect(finished.output == "\u{1B}[1m\ncafe41\n")
    }
  }

  @Test func `binary takes any bytes, and text says which line is none`() async throws {
    try await withTestServer(.echo) { server in
      let input: [UInt8] = [0x61, 0x0A, 0xFF, 0x00, 0x0A]
      let binary = try await run(
        "connect", "--binary", "--binary-output", "hex", "--linger", "0.1", server.url, input: input)
      #expect(binary.output == "61\nff00\n")
      #expect(binary.code == 0)

      let text = try await run("connect", "--linger", "0.1", server.url, input: input)
      #expect(text.code == 1)
      #expect(text.errors == "sidecar connect: line 2 of the input is not UTF-8; --binary sends any bytes\n")
      #expect(try await server.connection(1).messages(count: 1) == ["a"])
    }
  }

  @Test(arguments: [SIGINT, SIGTERM])
  func `a signal ends it in order, with the report`(signal: Int32) async throws {
    try await withTestServer(.echo) { server in
      let command = try CommandProcess("connect", server.url)
      command.write("hello\n")
      #expect(try await command.outputLines(1)[0] == "hello")
      command.send(signal: signal)
      let finished = try await command.finished()
      #expect(finished.code == 0)
      #expect(finished.errors.hasPrefix("shutdown: clean in "))
      #expect(finished.errors.contains("closed by us with 1000"))
      #expect(try await server.connection(0).ended().isClean)
    }
  }

  @Test func `a second signal ends it at once`() async throws {
    try await withTestServer(.silent) { server in
      let command = try CommandProcess("connect", "--shutdown-within", "1000", "--verbose", server.url)
      #expect(await command.errorsContain("opened to"))
      command.send(signal: SIGINT)
      try await server.connection(0).receivedClose()
      command.send(signal: SIGINT)
      #expect(try await command.finished().code == 128 + SIGINT)
    }
  }

  @Test func `it ends in order when nobody reads its output`() async throws {
    try await withTestServer(.fireHose(message: "water")) { server in
      let command = try CommandProcess("connect", "--keep-open", server.url)
      _ = try await command.outputLines(3)
      command.stopReadingOutput()
      let finished = try await command.finished()
      #expect(finished.code == 0)
      #expect(finished.errors.isEmpty)
      #expect(try await server.connection(0).receivedClose().code == .normalClosure)
    }
  }

  @Test func `lines that the peer does not wait for are not lost in silence`() async throws {
    try await withTestServer(.script([.open, .receiveMessage, .sendClose()])) { server in
      let lines = Array(repeating: String(repeating: "x", count: 10_000), count: 3000)
      let finished = try await run("connect", server.url, input: bytes(of: lines))
      #expect(finished.code == 1)
      #expect(finished.errors.contains(#/line \d+ of the input could not be sent: closed by the peer with 1000/#))
    }
  }

  @Test func `an orderly end by the peer is no error while the input stays open`() async throws {
    try await withTestServer(.script([.open, .receiveMessage, .send("bye"), .sendClose()])) { server in
      let command = try CommandProcess("connect", server.url)
      command.write("quit\n")
      let finished = try await command.finished()
      #expect(finished.code == 0)
      #expect(finished.output == "bye\n")
      #expect(finished.errors.isEmpty)
    }
  }

  @Test func `headers and subprotocols are sent`() async throws {
    var options = TestServer.Options()
    options.subprotocols = ["chat.v1"]
    try await withTestServer(.echo, options: options) { server in
      let finished = try await run(
        "connect", "-H", "X-One: 1: and more", "--header=X-Two:2", "-p", "chat.v2", "-p", "chat.v1", "--linger", "0",
        server.url)
      #expect(finished.code == 0)
      let request = try await server.connection(0).request()
      #expect(request.header("x-one") == "1: and more")
      #expect(request.header("x-two") == "2")
      #expect(request.subprotocols == ["chat.v2", "chat.v1"])
    }
  }

  @Test func `what can't be reached is one line and 1`() async throws {
    let refused = try TestServer.refusedPort()
    let expected = [
      (refused.url, "cannot connect (127.0.0.1:\(refused.port): Connection refused)"),
      ("ws://nowhere.invalid/", "resolve"),
      ("http://localhost/", "the scheme is http"),
      ("ws://", "cannot connect to \"ws://\": "),
      ("ws://a%20b/", "the host has a character that no name has"),
    ]
    for (url, text) in expected {
      let finished = try await run("connect", url)
      #expect(finished.code == 1)
      #expect(finished.output.isEmpty)
      #expect(finished.errors.hasPrefix("sidecar connect: "))
      #expect(finished.errors.contains(text))
      #expect(finished.errors.count { $0 == "\n" } == 1)
    }
  }

  @Test func `what goes wrong with a connection is one line and 1`() async throws {
    let expected: [(TestServer.Behavior, String)] = [
      (.refuse(status: 403, reason: "Forbidden", body: "no \u{1B}entry\nmore"), #"403 Forbidden.*no \\u\{1b\}entry$"#),
      (.script([.open, .reset]), "the connection was lost"),
      (.script([.open, .cutMidFrame()]), "the connection was lost"),
      (.script([.open, .send(RawFrame(opcode: 3))]), "broke the protocol"),
      (.script([.open, .sendClose(4001, reason: "no\u{1B}")]), "closed by the peer with 4001"),
    ]
    for (behavior, pattern) in expected {
      try await withTestServer(behavior) { server in
        let finished = try await run("connect", "--keep-open", server.url)
        #expect(finished.code == 1)
        #expect(try finished.errors.dropLast().contains(Regex(pattern)), "\(finished.errors)")
        #expect(finished.errors.count { $0 == "\n" } == 1)
        #expect(!finished.errors.contains("\u{1B}"))
      }
    }
  }

  @Test(arguments: 3...9)
  func `few descriptors are a readable error or no problem, never a crash or a hang`(limit: Int) async throws {
    try await withTestServer(.echo) { server in
      for _ in 0..<10 {
        let command = try CommandProcess(descriptorLimit: limit, "connect", "--linger", "0.1", server.url)
        command.writeAll(Array("hello\n".utf8))
        let finished = try await command.finished()
        if finished.code == 0 {
          #expect(finished.output == "hello\n")
          #expect(finished.errors.isEmpty)
        } else {
          // 127: with three descriptors even the dynamic linker has none for its libraries.
          #expect(finished.code == 1 || (limit == 3 && finished.code == 127), "\(finished)")
          #expect(!finished.errors.isEmpty)
        }
      }
    }
  }

  private func bytes(of lines: [String]) -> [UInt8] {
    lines.flatMap { Array($0.utf8) + [0x0A] }
  }
}
