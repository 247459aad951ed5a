import SidecarTestSupport
import SidecarTesting
import Testing

@testable import Sidecar

/// What connecting throws when the server does not open the connection.
@Suite(.census) struct OpeningFailureTests {
  private func error(
    _ steps: [TestServer.Step], configuration: WebSocketConfiguration = WebSocketConfiguration()
  ) async throws -> WebSocketError? {
    try await withTestServer(.script([.receiveRequest] + steps)) { server in
      do throws(WebSocketError) {
        let client = try await WebSocketSidecar.connect(to: server.url, configuration: configuration)
        await client.shutdown()
        return nil
      } catch {
        return error
      }
    }
  }

  private func refusal(
    _ steps: [TestServer.Step], configuration: WebSocketConfiguration = WebSocketConfiguration()
  ) async throws -> HandshakeRefusal {
    let error = try await error(steps, configuration: configuration)
    guard case .handshakeRefused(let refusal)? = error else { throw Unmet("ended with \(error as Any)") }
    return refusal
  }

  @Test func `the body of a refusal is whole, however it comes`() async throws {
    let bodies: [(String, [String])] = [
      ("Content-Length: 10\r\n", ["sorry", "sorry"]),
      ("Transfer-Encoding: chunked\r\n", ["5;x=y\r\nsorry\r\n", "5\r\nsorry\r\n", "0\r\nA: b\r\n\r\n"]),
      ("", ["sorry", "sorry"]),
    ]
    for (header, parts) in bodies {
      let steps =
        [TestServer.Step.sendRaw("HTTP/1.1 403 Forbidden\r\n\(header)\r\n")]
        + parts.flatMap { [.wait(.milliseconds(5)), .sendRaw($0)] } + [.endOfStream]
      let refusal = try await refusal(steps)
      #expect(refusal.status == 403 && refusal.body == Array("sorrysorry".utf8))
      #expect(refusal.isBodyComplete && refusal.isBodyDecoded)
    }
  }

  @Test func `the body of a refusal is waited for as long as the handshake may take`() async throws {
    var configuration = WebSocketConfiguration()
    configuration.handshakeTimeout = .milliseconds(200)
    let refusal = try await refusal(
      [.sendRaw("HTTP/1.1 401 No\r\nContent-Length: 10\r\n\r\nsorry"), .stall], configuration: configuration)
    #expect(refusal.status == 401 && refusal.body == Array("sorry".utf8) && !refusal.isBodyComplete)
  }

  @Test(arguments: [
    ("", "the server ended the stream without a response"),
    ("HTTP/1.1 10", "the server ended the stream in the first line of its response: received \"HTTP/1.1 10\""),
    ("\u{15}\u{3}\u{1}\u{0}\u{2}\u{2}F", "received 15 03 01 00 02 02 46: this is a TLS port"),
  ])
  func `a stream that ends early fails the handshake, and says what was received`(
    _ text: String, _ reason: String
  ) async throws {
    let error = try await error([.sendRaw(text), .endOfStream])
    guard case .handshakeFailed(let found)? = error else { throw Unmet("ended with \(error as Any)") }
    #expect(found.contains(reason))
  }

  @Test func `bytes that cannot be HTTP fail the handshake at once`() async throws {
    let error = try await error([.sendRaw("SSH-2.0-x\r\n"), .stall])
    guard case .handshakeFailed(let reason)? = error else { throw Unmet("ended with \(error as Any)") }
    #expect(reason.contains("this is an SSH port"))
  }
}
