import SidecarTesting
import Testing

/// What differs when the standard streams are a terminal.
@Suite(.timeLimit(.minutes(2))) struct `On a terminal` {
  private let controlD = "\u{4}"

  @Test func `the end of the input closes at once, and the close status is shown`() async throws {
    try await withTestServer(.echo) { server in
      let command = try CommandProcess(onTerminal: "connect", "--timeout", "20", server.url)
      // The greeting, the terminal's own echo, and the server's.
      command.write("hello\n")
      let lines = try await command.outputLines(3)
      #expect(lines.count { $0.hasSuffix("hello") } == 2)
      #expect(lines.contains { $0.contains("connected to 127.0.0.1:\(server.port); Ctrl-D closes") })
      command.write(controlD)
      let finished = try await command.finished()
      #expect(finished.code == 0)
      #expect(finished.output.contains("closed by us with 1000 (normal closure)"))
    }
  }

  @Test func `the demo's progress is one line that is overwritten, and fits`() async throws {
    let command = try CommandProcess(onTerminal: "demo", "--seconds", "2")
    let finished = try await command.finished()
    #expect(finished.code == 0)
    let states = finished.output.split(separator: "\r").filter { $0.contains("\u{1B}[K") && $0.contains("stream") }
    #expect(states.count >= 2)
    #expect(states.allSatisfy { $0.prefix { $0 != "\u{1B}" }.count < 60 })
  }
}
