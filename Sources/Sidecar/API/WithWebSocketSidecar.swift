/// Connects, runs `body`, and shuts the sidecar down on every way out: a result, an error or a cancellation.
///
/// ```swift
/// try await withWebSocketSidecar("ws://localhost:9000/feed") { sidecar in
///   try await sidecar.send("hello")
///   return try await sidecar.receive()
/// }
/// ```
///
/// - Parameters:
///   - url: A `ws` URL.
///   - configuration: How to connect, what to accept, and how long to wait.
///   - bound: How long the shutdown may take. Default: 5 s.
///   - body: Uses the sidecar.
/// - Throws: What ``WebSocketSidecar/connect(to:configuration:on:handler:)`` throws, and what `body` throws.
public func withWebSocketSidecar<Result>(
  _ url: String, configuration: WebSocketConfiguration = .init(), shutdownWithin bound: Duration = .seconds(5),
  _ body: (WebSocketSidecar) async throws -> Result
) async throws -> Result {
  let sidecar = try await WebSocketSidecar.connect(to: url, configuration: configuration)
  do {
    let result = try await body(sidecar)
    await sidecar.shutdown(within: bound)
    return result
  } catch {
    await sidecar.shutdown(within: bound)
    throw error
  }
}
