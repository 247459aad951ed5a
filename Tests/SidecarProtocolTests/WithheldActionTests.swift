import SidecarProtocol
import Testing

/// A scripted server answers Close frames and violations itself, or later.
@Suite struct WithheldActionTests {
  private typealias Action = ClosingHandshake.Action

  /// A server's connection that withholds all replies.
  private final class Server {
    private var connection = WebSocketConnection(acceptingWith: ProtocolLimits(maximumMessageSize: 1 << 10))
    private var sink = Recorder()

    init() {
      connection.automaticReplies = []
    }

    var canSend: Bool { connection.canSend }
    var canReceive: Bool { connection.canReceive }
    var settledEnd: ConnectionEnd? { connection.settledEnd }

    func recordClose(_ payload: ClosePayload) { connection.recordClose(payload) }
    func takeWithheldAction() -> Action { connection.takeWithheldAction() }

    func open() -> Server {
      let request =
        "GET / HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
      _ = receive(Array(request.utf8))
      connection.accept()
      return self
    }

    /// The actions in the events that the bytes cause.
    func receive(_ bytes: [UInt8]) -> [Action] {
      var bytes = bytes
      return bytes.withUnsafeMutableBytes { bytes in
        guard var input = ReadCursor(bytes) else { return [] }
        var actions: [Action] = []
        while let event = connection.receive(&input, into: &sink) {
          switch event {
          case .close(_, let action), .violation(_, let action): actions.append(action)
          default: break
          }
        }
        return actions
      }
    }
  }

  /// A client's Close frame with 1001, masked with 0.
  private let closeFrame: [UInt8] = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE9]

  @Test func `a withheld answer to a Close frame can be taken later, once`() throws {
    let server = Server().open()
    #expect(server.receive(closeFrame) == [.none])
    #expect(server.canSend, "our Close frame is still to come")
    #expect(!server.canReceive)
    #expect(server.settledEnd == nil)
    #expect(server.takeWithheldAction() == Action(close: try ClosePayload(.goingAway), next: .endStream))
    #expect(server.takeWithheldAction() == .none)
    #expect(!server.canSend)
    #expect(server.settledEnd?.cause == .closingHandshake)
    #expect(server.settledEnd?.initiator == .peer)
  }

  @Test func `a withheld answer to a violation can be taken later`() {
    let server = Server().open()
    let violation = ProtocolViolation(.unmaskedFrameFromClient)
    #expect(server.receive([0x81, 1, 0x61]) == [.none])
    #expect(!server.canReceive)
    #expect(server.takeWithheldAction() == Action(close: ClosePayload(violation), next: .endStream))
    #expect(server.settledEnd?.cause == .violation(violation))
  }

  @Test func `a Close frame that the owner writes stands for the withheld answer`() throws {
    let server = Server().open()
    #expect(server.receive(closeFrame) == [.none])
    server.recordClose(try ClosePayload(4000))
    #expect(!server.canSend)
    #expect(server.settledEnd?.cause == .closingHandshake)
    #expect(server.settledEnd?.initiator == .peer)
    #expect(server.takeWithheldAction() == Action(next: .endStream))
  }

  @Test func `a Close frame that the owner writes first begins the closing handshake`() throws {
    let server = Server().open()
    server.recordClose(try ClosePayload(4000))
    #expect(!server.canSend)
    #expect(server.canReceive)
    #expect(server.settledEnd == nil)
    #expect(server.receive(closeFrame) == [.none])
    #expect(server.settledEnd?.initiator == .us)
    #expect(server.takeWithheldAction() == Action(next: .endStream))
  }

  @Test func `a second Close frame that the owner writes changes nothing`() throws {
    let server = Server().open()
    server.recordClose(.empty)
    #expect(server.takeWithheldAction() == Action(next: .awaitClose))
    server.recordClose(.empty)
    #expect(server.takeWithheldAction() == .none)
    #expect(server.receive(closeFrame) == [.none])
    server.recordClose(.empty)
    #expect(server.takeWithheldAction() == Action(next: .endStream))
  }

  @Test func `a Close frame that the owner writes before the connection is open does not close it`() {
    let server = Server()
    server.recordClose(.empty)
    #expect(server.takeWithheldAction() == .none)
    #expect(server.open().canSend)
  }
}
