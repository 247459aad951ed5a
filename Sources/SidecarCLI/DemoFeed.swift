internal import Sidecar
internal import SidecarTesting

/// The stream of the demo's server: a round of messages that all differ, repeated, and a last message.
///
/// A message that is lost, duplicated, changed or reordered is found at once, because it is not the expected one.
struct DemoFeed: Sendable {
  static let messageSize = 128
  static let messagesPerRound = 1000

  /// The text that asks for the stream.
  static let request: WebSocketMessage = "subscribe"
  /// The message after the last round.
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

  /// The server's behaviour for each connection: the stream on request, then echo.
  func behavior(_ length: Length) -> TestServer.Behavior {
    let rounds: TestServer.Step =
      switch length {
      case .time(let duration): .repeat(for: duration, [.sendRaw(round)])
      case .rounds(let count): .repeat(times: count, [.sendRaw(round)])
      }
    return .script([.open, .receiveMessage, rounds, .send(DemoFeed.end), .continue(as: .echo)])
  }
}

/// Checks that every message of a stream is the expected one.
struct DemoStream {
  private let feed: DemoFeed
  private(set) var count = 0
  /// The index of the expected message within the round.
  private var expected = 0

  init(_ feed: DemoFeed) {
    self.feed = feed
  }

  var isAtRoundsEnd: Bool { expected == 0 }

  /// Checks the next message; returns false if it is the one that ends the stream.
  ///
  /// - Throws: ``CommandError`` if it is not the expected message.
  mutating func accept(_ message: WebSocketMessage?) throws(CommandError) -> Bool {
    guard let message else { throw CommandError("the stream ended after \(count) messages, before its end") }
    guard message == feed.messages[expected] else {
      if expected == 0, message == DemoFeed.end { return false }
      throw CommandError("message \(count) of the stream is not the expected one: \(message)")
    }
    count += 1
    expected = expected + 1 == feed.messages.count ? 0 : expected + 1
    return true
  }
}
