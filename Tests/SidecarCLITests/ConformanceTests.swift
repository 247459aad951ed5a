import SidecarTesting
import Testing

@Suite(.timeLimit(.minutes(2))) struct `sidecar conformance` {
  /// Runs `body` with a fuzzing server that has these cases.
  private func withFuzzer(
    _ cases: [TestServer.Behavior], _ body: (TestServer) async throws -> Void
  ) async throws {
    let server = try TestServer { _, request in
      switch request.path {
      case "/getCaseCount": return .script([.open, .send("\(cases.count)"), .sendClose()])
      case "/updateReports": return .script([.open, .sendClose()])
      case "/runCase":
        let number = request.query?.split(separator: "&").first.flatMap { Int($0.dropFirst("case=".count)) }
        return number.map { cases[$0 - 1] } ?? .refuse(status: 400)
      default: return .refuse(status: 404)
      }
    }
    try await body(server)
    await server.stop()
  }

  private func echoed(_ message: WebSocketMessage) -> TestServer.Behavior {
    .script([
      .open, .send(message),
      .receiveMessage { $0 == message ? [] : ["that was not \(message)"] },
      .sendClose(),
    ])
  }

  @Test func `every case is run, whatever becomes of the one before`() async throws {
    let cases: [TestServer.Behavior] = [
      echoed("text"), echoed([0, 255]), echoed(""),
      .script([.open, .reset]),
      .script([.open, .send(RawFrame(opcode: 1, payload: [0xC0, 0xAF]))]),
      .script([.open, .send(RawFrame(opcode: 3))]),
      .script([.open, .sendClose(1001)]),
      echoed("last"),
    ]
    try await withFuzzer(cases) { server in
      let finished = try await run("conformance", "--agent", "A/1", server.url)
      #expect(finished.code == 0, "\(finished.output)\(finished.errors)")
      #expect(finished.output.hasPrefix("conformance: 8 of 8 cases in "))
      #expect(finished.output.contains("4 closed in order with 1000 (normal closure) (1, 2, 3, 8)"))
      #expect(finished.output.contains("1 ended without a Close frame (4)"))
      #expect(finished.output.contains("1007 (invalid frame payload data) (5)"))
      #expect(finished.output.contains("1002 (protocol error) (6)"))
      #expect(finished.output.contains("closed in order with 1001 (going away) (7)"))

      let connections = server.connections
      #expect(connections.first?.request?.target == "/getCaseCount")
      #expect(connections.last?.request?.target == "/updateReports?agent=A%2F1")
      #expect(connections.map { $0.request?.target ?? "" }[1] == "/runCase?case=1&agent=A%2F1")
      #expect(connections.allSatisfy { $0.request?.extensions.first?.hasPrefix("permessage-deflate") == true })
      #expect(connections[1].messages == ["text"])
      #expect(connections[2].messages == [[0, 255]])
    }
  }

  @Test func `a case that hangs, and one that can't be opened, are failures`() async throws {
    try await withFuzzer([.silent, .refuse(status: 500), echoed("x")]) { server in
      let finished = try await run("conformance", "--timeout", "8", server.url)
      #expect(finished.code == 1)
      #expect(finished.output.contains("1 did not end in time (1)"))
      #expect(finished.output.contains("1 not opened: the server answered 500"))
      #expect(finished.output.contains("1 closed in order with 1000"))
      #expect(server.connections.last?.request?.path == "/updateReports")
    }
  }

  @Test func `some cases only can be run`() async throws {
    try await withFuzzer(Array(repeating: echoed("x"), count: 9)) { server in
      let finished = try await run("conformance", "--cases", "3-5", "--no-compression", server.url)
      #expect(finished.code == 0)
      #expect(finished.output.contains("3 closed in order with 1000 (normal closure) (3, 4, 5)"))
      #expect(server.connections.allSatisfy { $0.request?.extensions.isEmpty == true })
      #expect(try await run("conformance", "--cases", "3-10", server.url).code == 2)
    }
  }

  @Test func `messages before a violation in the same read are sent back before the Close`() async throws {
    // One write, and so one read: a text message, and then a reserved opcode.
    let both = RawFrame(opcode: 1, payload: "first".utf8).bytes + RawFrame(opcode: 3).bytes
    try await withFuzzer([.script([.open, .sendRaw(both), .receiveMessage { $0 == "first" ? [] : ["not the echo"] }])])
    {
      server in
      let finished = try await run("conformance", server.url)
      #expect(finished.output.contains("1002 (protocol error) (1)"), "\(finished.output)\(finished.errors)")
      #expect(server.connections[1].messages == ["first"])
    }
  }

  @Test func `a server that does not answer is one line and 1`() async throws {
    try await withTestServer(.echo) { server in
      let finished = try await run("conformance", "--timeout", "0.3", server.url)
      #expect(finished.code == 1)
      #expect(finished.errors.hasPrefix("sidecar conformance: timed out waiting for "))
    }
  }
}
