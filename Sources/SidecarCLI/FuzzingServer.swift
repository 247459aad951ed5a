internal import Sidecar

/// The fuzzing server, as its client sees it. All connections share one thread; each is ended before the next begins.
struct FuzzingServer: Sendable {
  /// How a case ended.
  enum Outcome: Hashable, Sendable, CustomStringConvertible {
    /// Both Close frames were exchanged; the peer's had this code.
    case closed(CloseCode)
    /// The server broke the protocol, most likely on purpose; it was told so with this code.
    case failed(CloseCode)
    /// The stream ended without a Close frame.
    case lost
    /// The connection could not be opened.
    case notOpened(String)
    /// It was not over in time.
    case hung
    case other(String)

    /// Whether the server could do with the case what it wanted to.
    var ranToItsEnd: Bool {
      switch self {
      case .closed, .failed, .lost: true
      case .notOpened, .hung, .other: false
      }
    }

    var description: String {
      switch self {
      case .closed(let code): "closed in order with \(code)"
      case .failed(let code): "ended by us because the server broke the protocol: \(code)"
      case .lost: "ended without a Close frame"
      case .notOpened(let reason): "not opened: \(reason)"
      case .hung: "not over in time"
      case .other(let reason): reason
      }
    }
  }

  /// How long the end of a connection may take.
  private static let bound = Duration.seconds(5)

  private let base: String
  private let agent: String
  private let limit: Duration
  private let configuration: WebSocketConfiguration
  private let thread: SidecarThread

  init(_ url: String, agent: String, offersCompression: Bool, limit: Duration) throws(SystemError) {
    base = url.hasSuffix("/") ? String(url.dropLast()) : url
    self.agent = FuzzingServer.percentEncoded(agent)
    self.limit = limit
    var configuration = WebSocketConfiguration()
    // The cases for limits go up to 16 MiB in a message, and to 65,536 fragments.
    configuration.maximumMessageSize = 64 << 20
    configuration.maximumFragmentsPerMessage = 1 << 20
    if offersCompression {
      var compression = WebSocketCompression()
      // Even the smallest message, for the sake of the test.
      compression.threshold = 0
      configuration.compression = compression
    }
    self.configuration = configuration
    thread = try SidecarThread(name: "conformance")
  }

  /// How many cases the server has.
  func caseCount() async throws -> Int {
    try await withConnection("/getCaseCount") { sidecar in
      let message = try await sidecar.receive(timeout: limit)
      guard case .text(let text) = message, let count = Int(text), count >= 0 else {
        let answer = message.map(String.init(describing:)) ?? "nothing"
        throw CommandError("the server answered \(answer) to /getCaseCount, instead of a number")
      }
      return count
    }
  }

  /// Has the server write its report.
  func updateReports() async throws {
    try await withConnection("/updateReports?agent=\(agent)") { sidecar in
      // It closes when it has done so.
      while try await sidecar.receive(timeout: limit) != nil {}
    }
  }

  /// Runs a case; whatever becomes of it, the next one can be run.
  func runCase(_ number: Int) async -> Outcome {
    let sidecar: WebSocketSidecar
    do throws(WebSocketError) {
      sidecar = try WebSocketSidecar(
        "\(base)/runCase?case=\(number)&agent=\(agent)", configuration: configuration, on: thread)
    } catch {
      return .notOpened("\(error)")
    }
    let isOver = Promise<Void>()
    let timer = DeadlineTimer(.after(limit)) {
      isOver.complete(())
      // Ends every call below.
      Task { await sidecar.shutdown(within: .seconds(1)) }
    }
    let opened: WebSocketError? = await {
      do throws(WebSocketError) {
        try await sidecar.connected()
        return nil
      } catch {
        return error
      }
    }()
    // On the sidecar's thread: a message is sent back without a hop.
    if opened == nil {
      try? await sidecar.run { sidecar in
        for try await message in sidecar.inbound { try await sidecar.send(message) }
      }
    }
    timer.cancel()
    let wasInTime = isOver.complete(())
    let report = await sidecar.shutdown(within: FuzzingServer.bound)
    if !wasInTime { return .hung }
    if let opened { return .notOpened("\(opened)") }
    return report.closeStatus.map { outcome(of: $0) } ?? .hung
  }

  private func outcome(of status: CloseStatus) -> Outcome {
    switch status.error {
    case nil: .closed(status.code)
    case .protocolViolation(let code, _), .limitExceeded(let code, _): .failed(code)
    case .connectionLost: .lost
    case let error?: .other("\(error)")
    }
  }

  private func withConnection<Result>(
    _ path: String, _ body: (WebSocketSidecar) async throws -> Result
  ) async throws -> Result {
    let sidecar = try await WebSocketSidecar.connect(to: base + path, configuration: configuration, on: thread)
    do {
      let result = try await body(sidecar)
      await sidecar.shutdown(within: FuzzingServer.bound)
      return result
    } catch {
      await sidecar.shutdown(within: FuzzingServer.bound)
      throw error
    }
  }

  /// What RFC 3986 §2.3 leaves as it is stays; the rest is written as bytes.
  private static func percentEncoded(_ text: String) -> String {
    text.utf8.map { byte in
      let character = Character(UnicodeScalar(byte))
      if character.isASCII, character.isLetter || character.isNumber || "-._~".contains(character) {
        return String(character)
      }
      let hexadecimal = String(byte, radix: 16, uppercase: true)
      return "%" + (hexadecimal.count == 1 ? "0" : "") + hexadecimal
    }.joined()
  }
}
