import Sidecar
import SidecarTestSupport
import Testing

/// The two ways to use a sidecar. Every test runs with both.
enum Skin: CaseIterable, Sendable {
  case async
  case blocking
}

/// One connection, driven through one of the skins; the verbs are the same.
///
/// The blocking calls are made on threads of their own, as an application without async code would.
enum Client: Sendable {
  case async(WebSocketSidecar)
  case blocking(BlockingWebSocket)

  static func connect(
    _ skin: Skin, to url: String, configuration: WebSocketConfiguration = .init()
  ) async throws -> Client {
    switch skin {
    case .async: .async(try await WebSocketSidecar.connect(to: url, configuration: configuration))
    case .blocking: .blocking(try await onThread { try BlockingWebSocket(url, configuration: configuration) })
    }
  }

  var sidecar: WebSocketSidecar {
    switch self {
    case .async(let sidecar): sidecar
    case .blocking(let socket): socket.sidecar
    }
  }

  func send(_ message: WebSocketMessage, timeout: Duration = patience) async throws {
    switch self {
    case .async(let sidecar): try await sidecar.send(message, timeout: timeout)
    case .blocking(let socket): try await onThread { try socket.send(message, timeout: timeout) }
    }
  }

  /// Sends all of `messages` from one task or thread.
  func send(all messages: [WebSocketMessage]) async throws {
    switch self {
    case .async(let sidecar):
      for message in messages { try await sidecar.send(message, timeout: patience) }
    case .blocking(let socket):
      try await onThread { for message in messages { try socket.send(message, timeout: patience) } }
    }
  }

  func receive() async throws -> WebSocketMessage? {
    switch self {
    case .async(let sidecar): try await sidecar.receive(timeout: patience)
    case .blocking(let socket): try await onThread { try socket.receive(timeout: patience) }
    }
  }

  /// Receives at most `count` messages, and otherwise up to the end of the connection; throws what ended it.
  func receive(atMost count: Int) async throws -> [WebSocketMessage] {
    switch self {
    case .async(let sidecar):
      var messages: [WebSocketMessage] = []
      for try await message in sidecar.inbound {
        messages.append(message)
        if messages.count == count { break }
      }
      return messages
    case .blocking(let socket):
      return try await onThread {
        var messages: [WebSocketMessage] = []
        while messages.count < count, let message = try socket.receive(timeout: patience) { messages.append(message) }
        return messages
      }
    }
  }

  @discardableResult
  func ping(_ payload: [UInt8]? = nil) async throws -> Duration {
    switch self {
    case .async(let sidecar): try await sidecar.ping(payload, timeout: patience)
    case .blocking(let socket): try await onThread { try socket.ping(payload, timeout: patience) }
    }
  }

  @discardableResult
  func close(code: CloseCode = .normalClosure, reason: String = "") async throws -> CloseStatus {
    switch self {
    case .async(let sidecar): try await sidecar.close(code: code, reason: reason, timeout: patience)
    case .blocking(let socket): try await onThread { try socket.close(code: code, reason: reason, timeout: patience) }
    }
  }

  var closeStatus: CloseStatus? {
    switch self {
    case .async(let sidecar): sidecar.closeStatus
    case .blocking(let socket): socket.closeStatus
    }
  }

  /// How the connection ended.
  ///
  /// There at once: for after a receiver was told of the end, or a call failed because of it.
  func statusOfEnd() throws -> CloseStatus { try #require(closeStatus) }

  @discardableResult
  func shutdown(within bound: Duration = .seconds(10)) async throws -> ShutdownReport {
    switch self {
    case .async(let sidecar): await sidecar.shutdown(within: bound)
    case .blocking(let socket): try await onThread { socket.shutdown(within: bound) }
    }
  }
}

/// Starts the server, connects to `path`, runs `body`, and ends both on every way out.
func withClient<Result>(
  _ skin: Skin, _ path: String, configuration: WebSocketConfiguration = .init(),
  _ body: (Client, PeerProcess) async throws -> Result
) async throws -> Result {
  try await withPeer { peer in
    let client = try await Client.connect(skin, to: peer.url(path), configuration: configuration)
    do {
      let result = try await body(client, peer)
      try await client.shutdown()
      return result
    } catch {
      try await client.shutdown()
      throw error
    }
  }
}
