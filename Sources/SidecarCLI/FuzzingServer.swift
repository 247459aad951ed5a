internal import Sidecar
internal import Synchronization

/// The fuzzing server, as its client sees it. All connections share one thread; each ends before the next begins.
struct FuzzingServer: Sendable {
  /// How a case ended.
  enum Outcome: Hashable, Sendable, CustomStringConvertible {
    /// Both Close frames were exchanged; the peer's had this code.
    case closed(CloseCode)
    /// The server violated the protocol, most likely on purpose; our Close frame had this code.
    case failed(CloseCode)
    /// The stream ended without a Close frame.
    case lost
    /// The connection could not be opened.
    case notOpened(String)
    /// The case did not end in time.
    case hung
    /// The outbound queue was full, so that a message was not sent back.
    case lostEcho
    case other(String)

    /// Whether the case ran to its end, so that the server's verdict on it counts.
    var ranToItsEnd: Bool {
      switch self {
      case .closed, .failed, .lost: true
      case .notOpened, .hung, .lostEcho, .other: false
      }
    }

    var description: String {
      switch self {
      case .closed(let code): "closed in order with \(code)"
      case .failed(let code): "failed by us because the server violated the protocol: \(code)"
      case .lost: "ended without a Close frame"
      case .notOpened(let reason): "not opened: \(reason)"
      case .hung: "did not end in time"
      case .lostEcho: "an echo was lost because the outbound queue was full"
      case .other(let reason): reason
      }
    }
  }

  /// How long the shutdown of a connection may take.
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
    // The cases for limits go up to 16 MiB in a message and to 65,536 fragments; a few such echoes fit in the queue.
    configuration.maximumMessageSize = 64 << 20
    configuration.maximumFragmentsPerMessage = 1 << 20
    configuration.outboundCapacity = 64 << 20
    if offersCompression {
      var compression = WebSocketCompression()
      // Compress even the smallest message: the cases expect it.
      compression.threshold = 0
      configuration.compression = compression
    }
    self.configuration = configuration
    thread = try SidecarThread(name: "conformance")
  }

  /// Returns the number of cases that the server has.
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

  /// Makes the server write its report.
  func updateReports() async throws {
    try await withConnection("/updateReports?agent=\(agent)") { sidecar in
      // The server closes when the report is written.
      while try await sidecar.receive(timeout: limit) != nil {}
    }
  }

  /// Runs one case. The next one can be run whatever the outcome.
  ///
  /// Echoes in a message handler: an answer to what came before a violation, in the same read, is written before the
  /// Close frame that answers the violation.
  func runCase(_ number: Int) async -> Outcome {
    let lostEcho = LostEcho()
    let sidecar: WebSocketSidecar
    do throws(WebSocketError) {
      sidecar = try WebSocketSidecar(
        "\(base)/runCase?case=\(number)&agent=\(agent)", configuration: configuration, on: thread
      ) { sidecar, kind, bytes in
        // A sidecar that is closing throws: then the case is over, and the echo is not missed.
        if (try? sidecar.trySend(kind, bytes)) == false { lostEcho.record() }
      }
    } catch {
      return .notOpened("\(error)")
    }
    let isOver = Promise<Void>()
    let timer = DeadlineTimer(.after(limit)) {
      isOver.complete(())
      // Ends the calls below.
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
    // The handler takes the messages; what is awaited here is the end of the connection.
    if opened == nil { _ = try? await sidecar.receive() }
    timer.cancel()
    let wasInTime = isOver.complete(())
    let report = await sidecar.shutdown(within: FuzzingServer.bound)
    if !wasInTime { return .hung }
    if lostEcho.isRecorded { return .lostEcho }
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

  /// Encodes every byte but the unreserved characters of RFC 3986 §2.3.
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

/// Records that a message handler could not send a message back.
private final class LostEcho: Sendable {
  private let flag = Atomic(false)

  var isRecorded: Bool { flag.load(ordering: .acquiring) }

  func record() { flag.store(true, ordering: .releasing) }
}
