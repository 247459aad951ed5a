import SidecarProtocol
import Testing

@Suite struct ClosingHandshakeTests {
  private typealias Action = ClosingHandshake.Action

  private let violation = ProtocolViolation(.maskedFrameFromServer)

  @Test func `a client that closes first awaits the answer and then the end of the stream`() throws {
    var handshake = ClosingHandshake(role: .client)
    #expect(handshake.canSend && handshake.canReceive && handshake.settledEnd == nil)
    let bye = try ClosePayload(.goingAway, reason: "bye")
    #expect(handshake.close(bye) == Action(close: bye, next: .awaitClose))
    #expect(handshake.state == .closedByUs)
    #expect(!handshake.canSend && handshake.canReceive && handshake.settledEnd == nil)
    let answer = try ClosePayload(.goingAway, reason: "bye too")
    #expect(handshake.receiveClose(answer) == Action(next: .awaitEndOfStream))
    #expect(!handshake.canReceive)
    let end = handshake.receiveEndOfStream()
    #expect(end.code == .goingAway && end.reason == "bye too" && end.cause == .closingHandshake && end.initiator == .us)
    #expect(handshake.state == .ended(end))
  }

  @Test func `a client answers the server's close with its code and then awaits the end of the stream`() throws {
    var handshake = ClosingHandshake(role: .client)
    let received = try ClosePayload(.serviceRestart, reason: "restart")
    let echo = try ClosePayload(.serviceRestart)
    #expect(handshake.receiveClose(received) == Action(close: echo, next: .awaitEndOfStream))
    #expect(handshake.state == .closedByPeer(received: received))
    #expect(!handshake.canSend && !handshake.canReceive)
    let settled = try #require(handshake.settledEnd)
    #expect(settled.code == .serviceRestart && settled.reason == "restart")
    #expect(settled.cause == .closingHandshake && settled.initiator == .peer)
    #expect(handshake.receiveEndOfStream() == settled)
  }

  @Test func `a server ends the stream after the last close frame`() throws {
    var handshake = ClosingHandshake(role: .server)
    #expect(handshake.receiveClose(.empty) == Action(close: .empty, next: .endStream))
    #expect(handshake.settledEnd?.code == .noStatusReceived)
    handshake = ClosingHandshake(role: .server)
    #expect(handshake.close(.empty) == Action(close: .empty, next: .awaitClose))
    #expect(handshake.receiveClose(.empty) == Action(next: .endStream))
    #expect(handshake.settledEnd?.code == .noStatusReceived && handshake.settledEnd?.cause == .closingHandshake)
  }

  @Test func `a violation is answered by its code, once, and nothing counts any more`() throws {
    var handshake = ClosingHandshake(role: .client)
    #expect(handshake.fail(violation) == Action(close: ClosePayload(violation), next: .awaitEndOfStream))
    #expect(!handshake.canSend && !handshake.canReceive)
    #expect(handshake.fail(violation) == .none)
    #expect(handshake.close(.empty) == .none)
    #expect(handshake.receiveClose(try ClosePayload(.normalClosure)) == .none)
    let end = handshake.receiveEndOfStream()
    #expect(end.code == .protocolError && end.reason == violation.summary && end.cause == .violation(violation))
    handshake = ClosingHandshake(role: .server)
    #expect(handshake.fail(violation) == Action(close: ClosePayload(violation), next: .endStream))
  }

  @Test func `a violation after our own close frame gets no second one`() {
    for (role, next) in [(Role.client, Action.Next.awaitEndOfStream), (.server, .endStream)] {
      var handshake = ClosingHandshake(role: role)
      _ = handshake.close(.empty)
      #expect(handshake.fail(violation) == Action(next: next))
      #expect(handshake.state == .failed(violation))
    }
  }

  @Test func `a stream that ends without a close frame was closed abnormally`() throws {
    for closes in [false, true] {
      var handshake = ClosingHandshake(role: .client)
      if closes { _ = handshake.close(.empty) }
      let end = handshake.receiveEndOfStream()
      #expect(end.code == .abnormalClosure && end.cause == .streamEnd && end.initiator == (closes ? .us : .peer))
    }
  }

  @Test func `nothing happens twice and nothing happens after the end`() throws {
    var handshake = ClosingHandshake(role: .client)
    _ = handshake.close(.empty)
    #expect(handshake.close(.empty) == .none)
    _ = handshake.receiveClose(.empty)
    #expect(handshake.receiveClose(try ClosePayload(.goingAway, reason: "again")) == .none)
    #expect(handshake.fail(violation) == .none)
    let end = handshake.receiveEndOfStream()
    #expect(handshake.receiveEndOfStream() == end)
    #expect(handshake.close(.empty) == .none)
    #expect(handshake.receiveClose(.empty) == .none)
    #expect(handshake.fail(violation) == .none)
    #expect(handshake.state == .ended(end))
  }
}
