import SidecarProtocol
import SidecarTestSupport
import SidecarTesting
import Testing

@testable import Sidecar

/// Servers that mean harm during the opening handshake. Each attack ends in a typed error, in bounded time and memory.
///
/// Each test is a process of its own: see ``HostileMeeting``.
@Suite struct HostileHandshakeTests {
  @Test func `an answer that comes a byte at a time is given up after the handshake's time limit`() async {
    await #expect(processExitsWith: .success) {
      var meeting = HostileMeeting()
      meeting.configuration.handshakeTimeout = .milliseconds(400)
      let began = ContinuousClock.now
      let error = try await meeting.openingError([
        .dribble(Array("HTTP/1.1 101 Switching Protocols\r\nX-Slow: ".utf8), interval: .milliseconds(100)), .stall,
      ])
      try demand(error == .timedOut(.openingHandshake), "ended with \(error)")
      try demand(ContinuousClock.now - began < .seconds(60), "it took too long")
    }
  }

  @Test(arguments: ["X-Filler: more\r\n", "more", " folded\r\n"])
  func `endless header lines are refused`(_ filler: String) async {
    await #expect(processExitsWith: .success) { [filler] in
      let filling = String(repeating: filler, count: 100)
      let error = try await HostileMeeting().openingError([
        .sendRaw("HTTP/1.1 101 Switching Protocols\r\nX-First: line\r\n"), .repeat([.sendRaw(filling)]),
      ])
      guard case .handshakeFailed(let reason) = error else { throw Unmet("ended with \(error)") }
      try demand(reason.contains("more than") || reason.contains("longer than"), "ended with \(error)")
    }
  }

  @Test func `endless interim responses are refused`() async {
    await #expect(processExitsWith: .success) {
      let interim = String(repeating: "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", count: 50)
      let error = try await HostileMeeting().openingError([.repeat([.sendRaw(interim)])])
      guard case .handshakeFailed(let reason) = error else { throw Unmet("ended with \(error)") }
      try demand(reason.contains("larger than"), "ended with \(error)")
    }
  }

  @Test func `a refusal with an endless body is a refusal`() async {
    await #expect(processExitsWith: .success) {
      let body = String(repeating: "no ", count: 10_000)
      let error = try await HostileMeeting().openingError([
        .sendRaw("HTTP/1.1 503 Service Unavailable\r\n\r\n"), .repeat([.sendRaw(body)]),
      ])
      guard case .handshakeRefused(let refusal) = error else { throw Unmet("ended with \(error)") }
      try demand(
        refusal.status == 503 && refusal.body.count == 16 * 1024 && !refusal.isBodyComplete, "refused with \(refusal)")
    }
  }
}
