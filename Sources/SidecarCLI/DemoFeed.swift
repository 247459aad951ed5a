internal import Sidecar
internal import SidecarTesting

/// What the demo's server streams: a round of messages that are all different, over and over, and an end.
///
/// A message that is lost, doubled, changed or out of its place shows at once, because the next one is not the one that
/// is due.
struct DemoFeed: Sendable {
  static let messageSize = 128
  static let messagesPerRound = 1000

  /// The text with which the client asks for the stream.
  static let request: WebSocketMessage = "subscribe"
  /// What comes behind the last round.
  static let end: WebSocketMessage = "that was all"

  /// How long the server streams.
  enum Length: Sendable {
    case time(Duration)
    case rounds(Int)
  }

  let messages: [WebSocketMessage]
  /// The size of a round on the wire.
  let bytesPerRound: Int
  private let round: [UInt8]

  init() {
    let texts = (0..<DemoFeed.messagesPerRound).map { number in
      let sequence = "\(number)".aligned(to: 4)
      let text = #"{"sequence":\#(sequence),"symbol":"SIDE","price":\#(100 + number % 7).\#(10 + number % 90),"note":""#
      return text + String(repeating: ".", count: DemoFeed.messageSize - 2 - text.count) + #""}"#
    }
    messages = texts.map { .text($0) }
    round = texts.flatMap { RawFrame(opcode: 1, payload: $0.utf8).bytes }
    bytesPerRound = round.count
  }

  /// What the server does with each connection: a stream when it is asked for, and then echo.
  func behavior(_ length: Length) -> TestServer.Behavior {
    let rounds: TestServer.Step =
      switch length {
      case .time(let duration): .repeat(for: duration, [.sendRaw(round)])
      case .rounds(let count): .repeat(times: count, [.sendRaw(round)])
      }
    return .script([.open, .receiveMessage, rounds, .send(DemoFeed.end), .continue(as: .echo)])
  }
}

/// Looks at every message of a stream: is it the one that is due?
struct DemoStream {
  private let feed: DemoFeed
  private(set) var count = 0
  private var due = 0

  init(_ feed: DemoFeed) {
    self.feed = feed
  }

  var isAtRoundsEnd: Bool { due == 0 }

  /// Takes the next message; returns false if it is the one behind the last.
  mutating func accept(_ message: WebSocketMessage?) throws(CommandError) -> Bool {
    guard let message else { throw CommandError("the stream ended after \(count) messages, before its end") }
    guard message == feed.messages[due] else {
      if due == 0, message == DemoFeed.end { return false }
      throw CommandError("message \(count) of the stream is not the one that is due: \(message)")
    }
    count += 1
    due = due + 1 == feed.messages.count ? 0 : due + 1
    return true
  }
}
