import SidecarProtocol
import SidecarTestSupport
import SidecarTesting
import Testing

@testable import Sidecar

/// Servers that do not let a connection close. Each attack ends in bounded time and memory.
///
/// Each test is a process of its own: see ``HostileMeeting``.
@Suite struct HostileClosingTests {
  @Test func `endless frames after the Close are discarded, and the connection ends in time`() async {
    await #expect(processExitsWith: .success) {
      try await HostileMeeting().run([.send(.close(1000, reason: "bye"))] + Attack.messagesWithoutEnd) { client, _ in
        let began = ContinuousClock.now
        let message = try await client.receive(timeout: .seconds(120))
        try demand(message == nil, "received \(message as Any) after the Close")
        await client.connectionEnded()
        try demand(ContinuousClock.now - began < .seconds(15), "the connection went on")
        try demand(client.closeStatus?.reason == "bye", "ended with \(client.closeStatus as Any)")
      }
    }
  }

  @Test func `endless frames after a violation are discarded, and the connection ends in time`() async {
    await #expect(processExitsWith: .success) {
      let wrong = RawFrame(opcode: 3)
      try await HostileMeeting().run([.send(wrong)] + Attack.messagesWithoutEnd) { client, _ in
        let began = ContinuousClock.now
        let error = try await HostileMeeting.error(of: client)
        try demand(error?.closeCode == .protocolError, "ended with \(error as Any)")
        await client.connectionEnded()
        try demand(ContinuousClock.now - began < .seconds(15), "the connection went on")
      }
    }
  }

  @Test func `a server that answers our Close with endless messages is dropped at the bound`() async {
    await #expect(processExitsWith: .success) {
      try await HostileMeeting().run(Attack.messagesWithoutEnd) { client, _ in
        let began = ContinuousClock.now
        // The call itself may give up first, where the thread does not keep up with the messages.
        _ = try? await client.close(timeout: .milliseconds(500))
        await client.connectionEnded()
        try demand(ContinuousClock.now - began < .seconds(15), "the connection went on")
        let error = client.closeStatus?.error
        try demand(error == .timedOut(.closingHandshake), "ended with \(error as Any)")
      }
    }
  }
}
