import SidecarExecutor
import SidecarProtocol
import Testing

@testable import Sidecar

@Suite struct ConfigurationTests {
  private func error(_ change: (inout WebSocketConfiguration) -> Void) -> WebSocketError? {
    var configuration = WebSocketConfiguration()
    change(&configuration)
    do throws(WebSocketError) {
      try configuration.validate()
      _ = try configuration.request(to: WebSocketURL("ws://a/"))
      return nil
    } catch {
      return error
    }
  }

  @Test func `the defaults can be used`() {
    #expect(error { _ in } == nil)
    #expect(error { $0.compression = WebSocketCompression() } == nil)
  }

  @Test func `sizes and times are positive`() {
    let changes: [(String, (inout WebSocketConfiguration) -> Void)] = [
      ("maximumMessageSize", { $0.maximumMessageSize = 0 }), ("maximumFrameSize", { $0.maximumFrameSize = -1 }),
      ("maximumFragmentsPerMessage", { $0.maximumFragmentsPerMessage = 0 }),
      ("inboundCapacity", { $0.inboundCapacity = 0 }), ("outboundCapacity", { $0.outboundCapacity = .min }),
      ("resolutionTimeout", { $0.resolutionTimeout = .zero }), ("connectTimeout", { $0.connectTimeout = .seconds(-1) }),
      ("handshakeTimeout", { $0.handshakeTimeout = .zero }), ("closeTimeout", { $0.closeTimeout = .zero }),
    ]
    for (name, change) in changes {
      guard case .invalidConfiguration(let reason)? = error(change) else {
        Issue.record("\(name) is accepted")
        continue
      }
      #expect(reason.hasPrefix("\(name) is "))
    }
  }

  @Test func `compression has ranges`() {
    let changes: [(String, (inout WebSocketCompression) -> Void)] = [
      ("threshold", { $0.threshold = -1 }), ("level", { $0.level = 0 }), ("level", { $0.level = 10 }),
      ("serverMaxWindowBits", { $0.serverMaxWindowBits = 7 }), ("clientMaxWindowBits", { $0.clientMaxWindowBits = 16 }),
    ]
    for (name, change) in changes {
      var compression = WebSocketCompression()
      change(&compression)
      guard case .invalidConfiguration(let reason)? = error({ $0.compression = compression }) else {
        Issue.record("\(name) is accepted")
        continue
      }
      #expect(reason.hasPrefix("compression.\(name) is "))
    }
  }

  @Test func `what is asked of compression is a request unless it is required`() {
    var compression = WebSocketCompression()
    compression.serverMaxWindowBits = 9
    #expect(!compression.offer.requiresParameters)
    compression.requiresParameters = true
    #expect(compression.offer.requiresParameters && compression.offer.serverMaxWindowBits == 9)
    let negotiated = WebSocketCompression.Negotiated(
      PermessageDeflate.Agreement(serverNoContextTakeover: true, serverMaxWindowBits: 9, clientMaxWindowBits: 10))
    #expect(negotiated.serverNoContextTakeover && !negotiated.clientNoContextTakeover)
    #expect(negotiated.serverMaxWindowBits == 9 && negotiated.clientMaxWindowBits == 10)
  }

  @Test func `headers and subprotocols that cannot be sent are named, and never shown`() {
    let secret = "s3cret"
    let changes: [(String, (inout WebSocketConfiguration) -> Void)] = [
      ("the value of the header Authorization has", { $0.headers = [("Authorization", "Bearer \(secret)\n")] }),
      ("the name of header 2 has", { $0.headers = [("A", ""), ("Authorization: \(secret)", "")] }),
      ("subprotocol 2 is offered twice", { $0.subprotocols = [secret, secret] }),
      ("the header Host belongs to", { $0.headers = [("Host", secret)] }),
    ]
    for (expected, change) in changes {
      guard let error = error(change) else {
        Issue.record("\(expected): accepted")
        continue
      }
      var dumped = ""
      dump(error, to: &dumped)
      #expect("\(error)".hasPrefix("invalid configuration: \(expected)"))
      for text in ["\(error)", String(reflecting: error), dumped] { #expect(!text.contains(secret)) }
    }
  }

  @Test func `a kernel without randomness is out of resources`() throws {
    let url = try WebSocketURL("ws://a/")
    #expect(throws: WebSocketError.systemResources(SystemError("getentropy", code: 38))) {
      try WebSocketConfiguration().request(to: url, randomness: RandomSource { _ in 38 })
    }
  }
}
