import Testing

@Suite(.timeLimit(.minutes(2))) struct `Help and usage` {
  @Test func `the overview names every subcommand`() async throws {
    let finished = try await run("--help")
    #expect(finished.code == 0)
    for name in ["connect", "serve", "demo", "soak", "conformance"] { #expect(finished.output.contains("  \(name) ")) }
    #expect(finished.errors.isEmpty)
  }

  @Test(arguments: ["connect", "serve", "demo", "soak", "conformance"])
  func `each subcommand explains itself`(name: String) async throws {
    let finished = try await run(name, "--help")
    #expect(finished.code == 0)
    #expect(finished.output.hasPrefix("usage: sidecar \(name) "))
    #expect(finished.output.contains("\nOptions:\n"))
    #expect(finished.output.contains("--help"))
    #expect(finished.errors.isEmpty)
    #expect(finished.lines.allSatisfy { $0.count <= 100 })
    let other = try await run("help", name)
    #expect(other.output == finished.output)
  }

  @Test(arguments: [
    [], ["fly"], ["connect"], ["connect", "ws://a/", "ws://b/"], ["connect", "--fly", "ws://a/"],
    ["connect", "--header"], ["connect", "--header", "no colon", "ws://a/"],
    ["connect", "--timeout", "soon", "ws://a/"],
    ["connect", "--binary-output", "octal", "ws://a/"], ["serve", "--port", "65536"],
    ["serve", "--address", "0.0.0.0"],
    ["demo", "--seconds", "-1"], ["demo", "--messages", "0"], ["soak", "--cycles", "many"], ["soak", "-x"],
    ["conformance"],
  ])
  func `arguments that make no sense are answered with the usage and 2`(arguments: [String]) async throws {
    let command = try CommandProcess(arguments)
    command.writeAll([])
    let finished = try await command.finished()
    #expect(finished.code == 2)
    #expect(finished.output.isEmpty)
    #expect(finished.errors.hasPrefix("sidecar"))
    #expect(finished.errors.contains("usage: sidecar"))
  }
}
