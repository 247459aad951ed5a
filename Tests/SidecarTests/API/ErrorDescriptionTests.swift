import Foundation
import SidecarExecutor
import SidecarProtocol
import Testing

@testable import Sidecar

@Suite struct ErrorDescriptionTests {
  private let evil = "\u{1B}]0;x\u{7}\r\n\u{9B}31m\u{85}\u{2028}\u{202E}\u{200B}"

  @Test func `an error is described to code that knows only that it is one`() {
    let error: any Error = WebSocketError.pingTooLong(byteCount: 126)
    #expect(error.localizedDescription == "a Ping carries at most 125 bytes, not 126 (RFC 6455 §5.5)")
    let status = CloseStatus(
      code: .protocolError, reason: "masked", initiator: .peer,
      error: .protocolViolation(code: .protocolError, reason: "masked"))
    #expect(status.description == "the peer broke the protocol: masked (code 1002 (protocol error))")
  }

  @Test func `what a peer wrote is escaped in every description, and raw in its own property`() {
    let refusal = HandshakeRefusal(.init(status: 403, reason: evil, headers: ["A": evil]))
    let status = CloseStatus(code: 1000, reason: evil, initiator: .peer, error: nil)
    let errors: [WebSocketError] = [
      .invalidURL(evil, reason: evil), .invalidConfiguration(reason: evil), .invalidClose(reason: evil),
      .handshakeRefused(refusal), .handshakeFailed(reason: evil), .protocolViolation(code: 1002, reason: evil),
      .limitExceeded(code: 1009, reason: evil), .closed(status),
    ]
    let events: [LogEvent] = [.opened(address: evil), .connectionEnded(status)]
    for text in errors.map(\.description) + events.map(\.description) + [status.description, refusal.description] {
      #expect(text.unicodeScalars.allSatisfy { (0x20...0x7E).contains($0.value) || $0 == "§" }, "\(text)")
    }
    #expect(refusal.reason.hasSameBytes(as: evil) && refusal.headers.first?.value.hasSameBytes(as: evil) == true)
    #expect(status.reason.hasSameBytes(as: evil))
    #expect(
      CloseStatus(code: 1000, reason: "say \"hi\"\n", initiator: .peer, error: nil).description
        == #"closed by the peer with 1000 (normal closure), reason "say \"hi\"\n""#)
  }

  @Test func `a limit of our own is named, with how to raise it`() {
    var configuration = WebSocketConfiguration()
    func error(_ rule: ProtocolViolation.Rule) -> WebSocketError {
      WebSocketError(ProtocolViolation(rule), configuration: configuration)
    }
    #expect(
      error(.messageTooLarge(limit: 16_777_216)).description
        == "a message larger than maximumMessageSize (16777216 bytes) arrived; "
        + "raise WebSocketConfiguration.maximumMessageSize to accept it (code 1009 (message too big))")
    // Without a limit of its own, a frame is held against the message's.
    #expect(error(.frameTooLarge(length: 14, limit: 10)) == error(.messageTooLarge(limit: 10)))
    configuration.maximumFrameSize = 10
    #expect(
      error(.frameTooLarge(length: 14, limit: 10)).description
        == "a frame of 14 bytes, larger than maximumFrameSize (10 bytes) arrived; "
        + "raise WebSocketConfiguration.maximumFrameSize to accept it (code 1009 (message too big))")
    #expect(
      error(.tooManyFragments(limit: 3)).description
        == "a message of more fragments than maximumFragmentsPerMessage (3) arrived; "
        + "raise WebSocketConfiguration.maximumFragmentsPerMessage to accept it (code 1008 (policy violation))")
    #expect(error(.unmaskedFrameFromClient) == .protocolViolation(code: 1002, reason: "unmasked frame from a client"))
    let limit = error(.messageTooLarge(limit: 10))
    let status = CloseStatus(code: 1009, reason: "", initiator: .peer, error: limit)
    #expect(status.description == limit.description)
  }

  @Test func `headers of a refusal are compared as bytes`() {
    func header(_ value: String) -> HandshakeRefusal.HeaderField { .init(name: "A", value: value) }
    #expect(header("K") != header("\u{212A}") && header("é") != header("e\u{301}") && header("é") == header("é"))
    #expect(Set([header("é"), header("e\u{301}"), header("é")]).count == 2)
  }

  @Test func `a response that is not one says what was received`() {
    let error = WebSocketError(.notHTTP(NonHTTPResponse([0x15, 3, 1, 0, 2, 2, 0x46])))
    #expect(
      error.description
        == "the opening handshake failed: the response is not HTTP/1.1: received 15 03 01 00 02 02 46: "
        + "this is a TLS port: use wss")
  }
}
