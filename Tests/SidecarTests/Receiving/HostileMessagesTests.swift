import SidecarTesting
import SidecarTestSupport
import Testing
import SidecarProtocol

@testable import Sidecar

/// Servers that mean harm, over real sockets. Each attack ends in a typed error, in bounded time and memory.
///
/// Each test is a process of its own: see ``HostileMeeting``.
@Suite struct HostileMessagesTests {
  // MARK: Sizes

  @Test func `a zip bomb of 1 GiB is closed with 1009 and costs little memory`() async {
    await #expect(processExitsWith: .success) {
      var meeting = HostileMeeting()
      meeting.configuration.maximumMessageSize = 1 << 20
      meeting.configuration.maximumFrameSize = 4 << 20
      meeting.configuration.compression = WebSocketCompression()
      meeting.headers = [.init("Sec-WebSocket-Extensions", "permessage-deflate")]
      try await meeting.run(Attack.zipBomb) { client, connection in
        let error = try await HostileMeeting.error(of: client)
        try demand(error?.closeCode == .messageTooBig, "ended with \(error as Any)")
        try demand(try await connection.receivedClose().code == .messageTooBig, "the server is told something else")
      }
    }
  }

  @Test func `a frame that announces 2^63 bytes is closed with 1002, and one less with 1009`() async {
    await #expect(processExitsWith: .success) {
      for (length, code) in [(UInt64(1) << 63, CloseCode.protocolError), ((1 << 63) - 1, .messageTooBig)] {
        let frame = RawFrame(opcode: 2, declaredLength: length, payload: [1, 2, 3])
        try await HostileMeeting().run([.send(frame)]) { client, connection in
          let error = try await HostileMeeting.error(of: client)
          try demand(error?.closeCode == code, "\(length) ended with \(error as Any)")
          try demand(try await connection.receivedClose().code == code, "the server is told something else")
        }
      }
    }
  }

  @Test func `a large frame that is announced and never sent costs no memory`() async {
    await #expect(processExitsWith: .success) {
      let frame = RawFrame(opcode: 2, declaredLength: 16 << 20, payload: [1, 2, 3])
      try await HostileMeeting().run([.send(frame)]) { client, _ in
        // Only the time-out can tell that nothing comes.
        let error = try await HostileMeeting.error(of: client, within: .milliseconds(300))
        try demand(error == .timedOut(.receive), "ended with \(error as Any)")
      }
    }
  }

  // MARK: Numbers

  @Test func `a million empty fragments are closed with 1008`() async {
    await #expect(processExitsWith: .success) {
      try await HostileMeeting().run(Attack.emptyFragments) { client, connection in
        let error = try await HostileMeeting.error(of: client)
        try demand(error?.closeCode == .policyViolation, "ended with \(error as Any)")
        try demand(try await connection.receivedClose().code == .policyViolation, "the server is told something else")
      }
    }
  }

  @Test func `a million empty fragments cost no memory where they are allowed`() async {
    await #expect(processExitsWith: .success) {
      var meeting = HostileMeeting()
      meeting.configuration.maximumFragmentsPerMessage = 2_000_000
      try await meeting.run(Attack.emptyFragments + [.send(.continuation([], fin: true))]) { client, _ in
        let message = try await client.receive(timeout: .seconds(120))
        try demand(message == .binary([UInt8]()), "received \(message as Any)")
      }
    }
  }

  @Test func `a million pings from a server that does not read are answered with one pong, to the latest`() async {
    await #expect(processExitsWith: .success) {
      let last = Array("the last one".utf8)
      let (flood, readAgain) = (TestServer.Gate(), TestServer.Gate())
      let script: [TestServer.Step] =
        [.stopReading, .waitFor(flood)] + Attack.pings
        + [.ping(last), .send("still there?"), .waitFor(readAgain), .resumeReading]
      var meeting = HostileMeeting()
      // The server keeps the messages that fill the way to it.
      meeting.memoryBound = 64 << 20
      try await meeting.run(script) { client, connection in
        // Nothing more can be written before the flood begins.
        let filling = WebSocketMessage.binary(Array(repeating: 1, count: 64 * 1024))
        var waiting = 0
        repeat {
          waiting = client.unwrittenByteCount
          while try client.trySend(filling) {}
          try await Task.sleep(for: .milliseconds(50))
        } while waiting == 0 || client.unwrittenByteCount != waiting
        flood.open()
        let message = try await client.receive(timeout: .seconds(240))
        try demand(message == "still there?", "received \(message as Any)")
        let growth = client.unwrittenByteCount - waiting
        try demand(growth <= 0, "\(growth) bytes of pongs have been queued")
        readAgain.open()
        // One, and as many as the kernel still found room for. Nothing announces the last one to the server.
        let isAnswered = try await onThread { eventually { connection.pongs.last == last } }
        let pongs = connection.pongs
        try demand(isAnswered && pongs.count < 10_000, "\(pongs.count) pongs came, the last one \(pongs.last as Any)")
      }
    }
  }

  @Test func `a million pongs that nobody asked for change nothing`() async {
    await #expect(processExitsWith: .success) {
      try await HostileMeeting().run(Attack.pongs + [.send("still there?")]) { client, _ in
        let message = try await client.receive(timeout: .seconds(120))
        try demand(message == "still there?", "received \(message as Any)")
      }
    }
  }

  @Test func `endless messages that nobody receives hold the server up`() async {
    await #expect(processExitsWith: .success) {
      let frames = Array(repeating: RawFrame.binary(Array(repeating: 7, count: 100)).bytes, count: 600).flatMap { $0 }
      try await HostileMeeting().run([.repeat([.sendRaw(frames)])]) { client, connection in
        try await connection.sendingBlocked()
        try demand(client.closeStatus == nil, "ended with \(client.closeStatus as Any)")
      }
    }
  }
}
