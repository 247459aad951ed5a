import AsyncHTTPClient
import Foundation
import Hummingbird
import InMemoryLogging
import Logging
import ServiceLifecycle
import Sidecar

/// What is logged, kept for checking.
struct InMemoryLog {
  private let handler = InMemoryLogHandler()

  var logger: Logger { Logger(label: "neighbour") { [handler] _ in handler } }

  func contains(_ text: String) -> Bool { handler.entries.contains { "\($0.message)".contains(text) } }
}

/// A web server by hummingbird, on a port that the system chooses.
struct WebServer {
  struct Greeting: Codable, Equatable, ResponseEncodable {
    let text: String
    let link: URL
  }

  static let greeting = Greeting(text: "grüß Gott", link: URL(fileURLWithPath: "/a b"))

  let application: Application<RouterResponder<BasicRequestContext>>
  let ports: AsyncStream<Int>

  init(logger: Logger) {
    let (ports, running) = AsyncStream<Int>.makeStream()
    let router = Router()
    router.get("greeting") { _, _ in WebServer.greeting }
    self.ports = ports
    application = Application(
      router: router,
      configuration: .init(address: .hostname("127.0.0.1", port: 0)),
      onServerRunning: { channel in running.yield(channel.localAddress?.port ?? 0) },
      logger: logger)
  }
}

/// A sidecar as a service: it ends when the group does, and logs through swift-log.
struct EchoService: Service {
  let url: String
  let logger: Logger
  private let words = AsyncStream<String>.makeStream()

  init(url: String, logger: Logger) {
    self.url = url
    self.logger = logger
  }

  /// What has come back, one by one.
  var answers: AsyncStream<String> { words.stream }

  func run() async throws {
    var configuration = WebSocketConfiguration()
    configuration.onLog = { [logger] event in logger.info("sidecar: \(event)") }
    let sidecar = try await WebSocketSidecar.connect(to: url, configuration: configuration)
    try await sidecar.send("hello")
    await withGracefulShutdownHandler {
      for await message in sidecar.messages {
        if case .text(let text) = message { words.continuation.yield(text) }
      }
    } onGracefulShutdown: {
      // Ends `messages`; the report comes below.
      Task { await sidecar.shutdown() }
    }
    let report = await sidecar.shutdown()
    logger.info("sidecar: \(report)")
  }
}

/// Uses the other services, and then ends the group by returning.
struct Driver: Service {
  let web: WebServer
  let echo: EchoService

  func run() async throws {
    var ports = web.ports.makeAsyncIterator()
    let port = try await require(ports.next())
    let request = HTTPClientRequest(url: "http://127.0.0.1:\(port)/greeting")
    let response = try await HTTPClient.shared.execute(request, timeout: .seconds(30))
    let body = try await response.body.collect(upTo: 1 << 16)
    let greeting = try JSONDecoder().decode(WebServer.Greeting.self, from: Data(body.readableBytesView))
    try check(greeting == WebServer.greeting, "async-http-client fetches from hummingbird; Foundation decodes")

    var answers = echo.answers.makeAsyncIterator()
    let answer = try await require(answers.next())
    try check(answer == "hello", "the sidecar's server echoes")
  }

  private func require<Value>(_ value: Value?) throws -> Value {
    guard let value else { throw CheckFailed(description: "a stream ended early") }
    return value
  }
}
