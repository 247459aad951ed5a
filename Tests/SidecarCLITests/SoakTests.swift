import Glibc
import Testing

@Suite(.timeLimit(.minutes(4))) struct `sidecar soak` {
  // Other tests share the machine. The library's own tests check the real slack.
  private let patientSlack = "20"

  @Test func `some cycles leave nothing behind`() async throws {
    let finished = try await run("soak", "--cycles", "120", "--seed", "7", "--slack", patientSlack)
    #expect(finished.code == 0, "\(finished.output)\(finished.errors)")
    #expect(finished.output.hasPrefix("soak: 120 cycles in "))
    #expect(finished.output.contains("seed 7\n"))
    #expect(finished.output.contains("0 sidecars, 0 threads, 0 connections, 0 tasks"))
    #expect(finished.lines.last == "nothing has drifted")
  }

  @Test func `one cycle can be run again, and is the same again`() async throws {
    let first = try await run("soak", "--seed", "7", "--only", "13", "--slack", patientSlack)
    let second = try await run("soak", "--seed", "7", "--only", "13", "--slack", patientSlack)
    let other = try await run("soak", "--seed", "8", "--only", "13", "--slack", patientSlack)
    #expect(first.code == 0 && second.code == 0 && other.code == 0)
    #expect(first.lines[0].hasPrefix("cycle 13: "))
    #expect(first.lines[0] == second.lines[0])
    #expect(first.lines[0] != other.lines[0])
  }

  @Test func `what drifts is a failure`() async throws {
    // No process that does anything has so few threads.
    let threads = try await run(
      "soak", "--cycles", "10", "--seed", "7", "--threads-limit", "1", "--slack", patientSlack)
    #expect(threads.code == 1)
    #expect(threads.output.contains(#/failed: \d+ threads, the limit is 1/#))
  }

  @Test func `a signal ends it early, with the summary`() async throws {
    let command = try CommandProcess("soak", "--seconds", "600", "--slack", patientSlack)
    #expect(await command.errorsContain("cycles in "))
    command.send(signal: SIGTERM)
    let finished = try await command.finished()
    #expect(finished.code == 0, "\(finished.output)\(finished.errors)")
    #expect(finished.lines.last == "nothing has drifted")
  }
}
