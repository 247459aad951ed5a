internal import Sidecar
internal import SidecarTesting

/// What the soak's server does with a connection. The first few are not faults.
enum SoakFault: String, CaseIterable, Sendable {
  case echo
  case discard
  case fireHose = "fire-hose"
  case dribble
  case closesFirst = "closes-first"
  case silent
  case stall
  case ignoresClose = "ignores-close"
  case cutMidFrame = "cut-mid-frame"
  case reset
  case endsStream = "ends-stream"
  case lies = "lies-about-length"
  case reservedOpcode = "reserved-opcode"
  case invalidText = "invalid-text"
  case refuses
  case notHTTP = "not-http"
  case ignoresRequest = "ignores-request"
  case refusedPort = "refused-port"
  case fullPort = "full-port"

  /// Whether the server sends messages back.
  var echoes: Bool { self == .echo || self == .dribble }

  /// The server's behaviour. Unused by the faults in which no server is reached.
  var behavior: TestServer.Behavior {
    let pause = TestServer.Step.wait(.milliseconds(5))
    return switch self {
    case .echo: .echo
    case .discard: .discard
    case .fireHose: .fireHose(message: .text(String(repeating: "water ", count: 100)))
    case .dribble: .script([.dribble(chunk: 16, [.open, .ping([1])]), .continue(as: .echo)])
    case .closesFirst: .script([.open, pause, .sendClose(4000, reason: "enough"), .receiveClose])
    case .silent: .silent
    case .stall: .script([.open, .stall])
    case .ignoresClose: .script([.open, .wait(.seconds(600))])
    case .cutMidFrame: .script([.open, pause, .cutMidFrame()])
    case .reset: .script([.open, pause, .reset])
    case .endsStream: .script([.open, pause, .endOfStream])
    case .lies: .script([.open, pause, .lieAboutLength(announced: .max, payload: [1, 2, 3])])
    case .reservedOpcode: .script([.open, pause, .send(RawFrame(opcode: 3))])
    case .invalidText: .script([.open, pause, .send(RawFrame(opcode: 1, payload: [0xC0, 0xAF]))])
    case .refuses: .refuse(status: 503)
    case .notHTTP: .script([.answerRaw("220 mail.example.com ready\r\n\r\n"), .finish])
    case .ignoresRequest, .refusedPort, .fullPort: .script([.stall])
    }
  }
}

/// Everything that a soak connects to. New for each round, because a server keeps a log of its connections.
struct SoakTargets: Sendable {
  private let server: TestServer
  private let refusedPort: TestServer.RefusedPort
  private let fullPort: TestServer.FullPort

  init() throws(SystemError) {
    var options = TestServer.Options()
    options.recordedBytes = 0
    server = try TestServer(options: options) { _, request in
      SoakFault(rawValue: String(request.path.dropFirst()))?.behavior ?? .refuse(status: 404)
    }
    refusedPort = try TestServer.refusedPort()
    fullPort = try TestServer.fullPort()
  }

  func url(for fault: SoakFault) -> String {
    switch fault {
    case .refusedPort: refusedPort.url
    case .fullPort: fullPort.url
    default: server.url + fault.rawValue
    }
  }

  /// Stops the server; returns whether it has ended.
  func stop() async -> Bool { await server.stop() }
}
