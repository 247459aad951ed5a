import SidecarTesting
import SidecarTestSupport
import Testing
import SidecarProtocol

@testable import Sidecar

/// Servers that mean harm, over real sockets. Each attack ends in a typed error, in bounded time and memory.
///
/// Each test is a process of its own: see ``HostileMeeting``.
@Suite struct HostilePeerTests {
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

  @Test func `a million pings from a server that does not read are owed one pong, to the latest`() async {
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
          waiting = client.shared.sendQueue.unwrittenByteCount
          while try client.trySend(filling) {}
          try await Task.sleep(for: .milliseconds(50))
        } while client.shared.sendQueue.unwrittenByteCount != waiting
        flood.open()
        let message = try await client.receive(timeout: .seconds(60))
        try demand(message == "still there?", "received \(message as Any)")
        let growth = client.shared.sendQueue.unwrittenByteCount - waiting
        try demand(growth <= 0, "\(growth) bytes of pongs have been queued")
        readAgain.open()
        // One, and as many as the kernel still found room for.
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

  @Test func `messages without an end that nobody receives hold the server up`() async {
    await #expect(processExitsWith: .success) {
      let frames = Array(repeating: RawFrame.binary(Array(repeating: 7, count: 100)).bytes, count: 600).flatMap { $0 }
      try await HostileMeeting().run([.repeat([.sendRaw(frames)])]) { client, connection in
        try await connection.sendingBlocked()
        try demand(client.closeStatus == nil, "ended with \(client.closeStatus as Any)")
      }
    }
  }

  // MARK: The opening handshake

  @Test func `an answer that is dribbled is given up after the handshake's time`() async {
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
  func `header lines without an end are refused`(_ filler: String) async {
    await #expect(processExitsWith: .success) { [filler] in
      let filling = String(repeating: filler, count: 100)
      let error = try await HostileMeeting().openingError([
        .sendRaw("HTTP/1.1 101 Switching Protocols\r\nX-First: line\r\n"), .repeat([.sendRaw(filling)]),
      ])
      guard case .handshakeFailed(let reason) = error else { throw Unmet("ended with \(error)") }
      try demand(reason.contains("more than") || reason.contains("longer than"), "ended with \(error)")
    }
  }

  @Test func `interim responses without an end are refused`() async {
    await #expect(processExitsWith: .success) {
      let interim = String(repeating: "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", count: 50)
      let error = try await HostileMeeting().openingError([.repeat([.sendRaw(interim)])])
      guard case .handshakeFailed(let reason) = error else { throw Unmet("ended with \(error)") }
      try demand(reason.contains("larger than"), "ended with \(error)")
    }
  }

  @Test func `a refusal with a body without an end is a refusal`() async {
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

  // MARK: The end

  @Test func `frames without an end behind the Close are discarded, and the connection ends in time`() async {
    await #expect(processExitsWith: .success) {
      try await HostileMeeting().run([.send(.close(1000, reason: "bye"))] + Attack.messagesWithoutEnd) { client, _ in
        let began = ContinuousClock.now
        let message = try await client.receive(timeout: .seconds(120))
        try demand(message == nil, "received \(message as Any) behind the Close")
        let ended = try await onThread { eventually { client.closeStatus != nil } }
        try demand(ended && ContinuousClock.now - began < .seconds(15), "the connection goes on")
        try demand(client.closeStatus?.reason == "bye", "ended with \(client.closeStatus as Any)")
      }
    }
  }

  @Test func `frames without an end behind a violation are discarded, and the connection ends in time`() async {
    await #expect(processExitsWith: .success) {
      let wrong = RawFrame(opcode: 3)
      try await HostileMeeting().run([.send(wrong)] + Attack.messagesWithoutEnd) { client, _ in
        let began = ContinuousClock.now
        let error = try await HostileMeeting.error(of: client)
        try demand(error?.closeCode == .protocolError, "ended with \(error as Any)")
        let ended = try await onThread { eventually { client.closeStatus != nil } }
        try demand(ended && ContinuousClock.now - began < .seconds(15), "the connection goes on")
      }
    }
  }

  @Test func `a server that answers our Close with messages without an end is dropped at the bound`() async {
    await #expect(processExitsWith: .success) {
      try await HostileMeeting().run(Attack.messagesWithoutEnd) { client, _ in
        let began = ContinuousClock.now
        // The call itself may give up first, where the thread does not keep up with the messages.
        _ = try? await client.close(timeout: .milliseconds(500))
        let ended = try await onThread { eventually { client.closeStatus != nil } }
        try demand(ended && ContinuousClock.now - began < .seconds(15), "the connection goes on")
        let error = client.closeStatus?.error
        try demand(error == .timedOut(.closingHandshake), "ended with \(error as Any)")
      }
    }
  }
}

/// What hostile servers do.
private enum Attack {
  /// 1 GiB of zeroes in one message, compressed to about 1 MiB.
  static var zipBomb: [TestServer.Step] {
    var deflater = Deflater(PermessageDeflate.Agreement(), role: .server)
    let zeroes = [UInt8](repeating: 0, count: 1 << 20)
    func compressed() -> [UInt8] {
      var buffer = ByteBuffer()
      zeroes.withUnsafeBytes { deflater.compress($0, into: &buffer) }
      return Array(buffer.bytes)
    }
    // The end of a block, which is left out at the end of a message only (RFC 7692 §7.2.1).
    let tail: [UInt8] = [0, 0, 0xFF, 0xFF]
    let first = RawFrame(opcode: 2, fin: false, rsv1: true, payload: compressed() + tail)
    // From the second on they are all the same: each looks back at zeroes only.
    let more = RawFrame.continuation(compressed() + tail, fin: false)
    let last = RawFrame.continuation([0], fin: true)
    return [.send(first), .repeat(times: 1023, [.send(more)]), .send(last)]
  }

  static var emptyFragments: [TestServer.Step] {
    let some = Array(repeating: RawFrame.continuation([], fin: false).bytes, count: 10_000).flatMap { $0 }
    return [.send(.binary([], fin: false)), .repeat(times: 100, [.sendRaw(some)])]
  }

  static var pings: [TestServer.Step] { repeated(.ping(Array(repeating: 7, count: 40))) }

  static var pongs: [TestServer.Step] { repeated(.pong(Array(repeating: 7, count: 40))) }

  private static func repeated(_ frame: RawFrame) -> [TestServer.Step] {
    let some = Array(repeating: frame.bytes, count: 1000).flatMap { $0 }
    return [.repeat(times: 1000, [.sendRaw(some)])]
  }

  static var messagesWithoutEnd: [TestServer.Step] {
    let some = Array(repeating: RawFrame.binary(Array(repeating: 7, count: 100)).bytes, count: 600).flatMap { $0 }
    return [.repeat([.sendRaw(some)])]
  }
}

extension WebSocketError {
  /// The code that the peer was told.
  fileprivate var closeCode: CloseCode? {
    switch self {
    case .protocolViolation(let code, _), .limitExceeded(let code, _): code
    default: nil
    }
  }
}
