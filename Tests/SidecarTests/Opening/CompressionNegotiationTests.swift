import Sidecar
import SidecarTestSupport
import Testing

/// What holds after an offer of compression, and where it can be read (RFC 7692 §7.1).
@Suite(.census) struct CompressionNegotiationTests {
  /// Connects to a server whose response has this `Sec-WebSocket-Extensions`, and offers `compression`.
  private func negotiate(
    _ compression: WebSocketCompression, answer: String?
  ) async throws -> WebSocketCompression.Negotiated? {
    let peer = try RawPeer { stream in
      try stream.open(headers: answer.map { "Sec-WebSocket-Extensions: \($0)\r\n" } ?? "")
      _ = try? stream.readFrame()
    }
    var configuration = WebSocketConfiguration()
    configuration.compression = compression
    do {
      let client = try await WebSocketSidecar.connect(to: peer.url, configuration: configuration)
      let negotiated = client.negotiatedCompression
      #expect(BlockingWebSocket(client).negotiatedCompression == negotiated)
      await client.shutdown()
      try await peer.end()
      return negotiated
    } catch {
      try? await peer.end()
      throw error
    }
  }

  /// An offer with every parameter.
  private var fullOffer: WebSocketCompression {
    var compression = WebSocketCompression()
    compression.serverNoContextTakeover = true
    compression.clientNoContextTakeover = true
    compression.serverMaxWindowBits = 10
    compression.clientMaxWindowBits = 11
    return compression
  }

  @Test func `a server that confirms nothing leaves the defaults of the RFC for its own direction`() async throws {
    let negotiated = try #require(try await negotiate(fullOffer, answer: "permessage-deflate"))
    #expect(negotiated.serverMaxWindowBits == 15)
    #expect(!negotiated.serverNoContextTakeover)
    // What this side does is its own choice.
    #expect(negotiated.clientMaxWindowBits == 11)
    #expect(negotiated.clientNoContextTakeover)
  }

  @Test func `what the server confirms holds`() async throws {
    let answer = """
      permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9; \
      client_max_window_bits=10
      """
    let negotiated = try #require(try await negotiate(fullOffer, answer: answer))
    #expect(negotiated.serverMaxWindowBits == 9 && negotiated.serverNoContextTakeover)
    #expect(negotiated.clientMaxWindowBits == 10 && negotiated.clientNoContextTakeover)
    #expect(negotiated.description == answer)
  }

  @Test func `a server that declines leaves nothing`() async throws {
    #expect(try await negotiate(fullOffer, answer: nil) == nil)
  }

  @Test func `what is required and not confirmed fails the handshake`() async throws {
    var compression = fullOffer
    compression.requiresParameters = true
    let error = await #expect(throws: WebSocketError.self) {
      try await negotiate(compression, answer: "permessage-deflate")
    }
    guard case .handshakeFailed(let reason)? = error else { throw try #require(error) }
    #expect(reason.contains("server_no_context_takeover") || reason.contains("server_max_window_bits"))
  }
}
