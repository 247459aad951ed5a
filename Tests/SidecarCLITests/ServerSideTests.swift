import Glibc
import Sidecar
import SidecarTesting
import Testing

/// The subcommands that start a server.
@Suite(.timeLimit(.minutes(2))) struct `The embedded server` {
  @Test(arguments: ["127.0.0.1", "::1"])
  func `serve prints a URL that works, and ends with a signal`(address: String) async throws {
    var options = TestServer.Options()
    options.loopback = .ipv6
    // Not every machine has IPv6.
    guard address != "::1" || (try? TestServer(options: options)) != nil else { return }

    let command = try CommandProcess("serve", "--address", address)
    let url = String(try await command.outputLines(1)[0])
    let client = try await WebSocketSidecar.connect(to: url)
    try await client.send("hello")
    #expect(try await client.receive() == "hello")
    await client.shutdown()
    command.send(signal: SIGINT)
    let finished = try await command.finished()
    #expect(finished.code == 0)
    #expect(finished.output == url + "\n")
    #expect(finished.errors == "served 1 connection\n")
  }

  @Test func `serve says which port it can't have`() async throws {
    try await withTestServer { server in
      let finished = try await run("serve", "--port", "\(server.port)")
      #expect(finished.code == 1)
      #expect(finished.errors == "sidecar serve: cannot listen on port \(server.port): Address already in use\n")
    }
  }

  @Test func `a short demo finds everything as it should be`() async throws {
    let finished = try await run("demo", "--seconds", "0.4")
    #expect(finished.code == 0, "\(finished.output)\(finished.errors)")
    for text in [
      "async", "blocking", "p50", "p99", "shutdown: clean", "0 sidecars, 0 threads, 0 connections, 0 tasks",
    ] {
      #expect(finished.output.contains(text))
    }
    #expect(finished.lines.last == "everything is as it should be")
    #expect(!finished.output.contains("\u{1B}") && !finished.errors.contains("\r"))
  }

  @Test func `a demo of so many messages streams so many`() async throws {
    let finished = try await run("demo", "--messages", "1500")
    #expect(finished.code == 0, "\(finished.output)\(finished.errors)")
    #expect(finished.lines.count { $0.hasPrefix("  stream ") && $0.contains(" 2,000 messages") } == 2)
    #expect(finished.lines.count { $0.hasPrefix("  round trips ") && $0.contains(" 30 in") } == 2)
  }

  @Test func `a demo that is interrupted ends in order`() async throws {
    let command = try CommandProcess("demo", "--seconds", "600")
    #expect(await command.errorsContain("async: streaming"))
    command.send(signal: SIGINT)
    let finished = try await command.finished()
    #expect(finished.code == 0, "\(finished.output)\(finished.errors)")
    #expect(finished.lines.last == "interrupted; still alive: 0 sidecars, 0 threads, 0 connections, 0 tasks")
  }
}
