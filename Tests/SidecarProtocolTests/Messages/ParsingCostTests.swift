import Glibc
import Testing
import SidecarProtocol

/// What it costs when a peer, or a path, delivers bytes one at a time. `Docs/Conformance.md` has the figures.
@Suite(.serialized) struct ParsingCostTests {
  #if DEBUG
    private static let size = 32 << 10
  #else
    private static let size = 1 << 20
  #endif

  @Test(arguments: zip(CostCase.all(size: Self.size), CostCase.all(size: Self.size / 4)))
  func `the cost of a byte at a time grows with the number of bytes and not faster`(_ all: CostCase, _ part: CostCase) {
    // Four times the size: linear is 4, quadratic 16.
    expectBest(lessThan: 8) {
      let rounds = (0..<3).map { _ in (all.cost(piece: 1), part.cost(piece: 1)) }
      return median(rounds.map(\.0)) / median(rounds.map(\.1)) * 4 * part.relativeSize(to: all)
    }
  }

  /// A machine that does something else can make a measurement worse, and not better.
  private func expectBest(lessThan limit: Double, _ measure: () -> Double) {
    var best = measure()
    for _ in 0..<4 where best >= limit { best = min(best, measure()) }
    #expect(best < limit)
  }

  private func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
}

/// A conversation whose cost is measured.
struct CostCase: Sendable, CustomStringConvertible {
  let description: String
  var deflate: PermessageDeflate.Agreement?
  let bytes: [UInt8]

  init(_ name: String, deflate: PermessageDeflate.Agreement? = nil, _ bytes: [UInt8]) {
    description = name
    self.deflate = deflate
    self.bytes = bytes
  }

  /// Conversations of `size` bytes, before compression.
  static func all(size: Int) -> [CostCase] {
    let letters = noise(size).map { 0x20 + $0 % 95 }
    let words = ["{\"id\": ", "stream", " events ", "to ", "clients ", "}, ", "over ", "лучше ", "the ", "quick "]
    let prose = Array(noise(size).lazy.flatMap { words[Int($0) % words.count].utf8 }.prefix(size))
    let deflate = PermessageDeflate.Agreement()
    return [
      CostCase("a binary message", frame(0x82, noise(size))),
      CostCase("a text message of ASCII", frame(0x81, letters)),
      CostCase("a text message in two scripts", frame(0x81, repeated(utf8("Ελληνικά 日本語 "), size: size))),
      CostCase("empty messages", repeated(frame(0x82), size: size)),
      CostCase("binary messages of 16 bytes", repeated(frame(0x82, noise(16)), size: size)),
      CostCase("binary messages of 128 bytes", repeated(frame(0x82, noise(128)), size: size)),
      CostCase("text messages of 16 bytes", repeated(frame(0x81, Array(letters[..<16])), size: size)),
      CostCase("text messages of 128 bytes", repeated(frame(0x81, Array(letters[..<128])), size: size)),
      CostCase("fragments of 128 bytes", frame(0x02) + repeated(frame(0x00, noise(128)), size: size) + frame(0x80)),
      CostCase("pings of 16 bytes", repeated(frame(0x89, noise(16)), size: size)),
      CostCase("a compressed message", deflate: deflate, frame(0xC2, compressed(prose))),
      CostCase(
        "compressed messages of 128 bytes", deflate: deflate,
        repeated(frame(0xC2, compressed(Array(prose[..<128]))), size: size)),
      CostCase(
        "a compressed message that was not compressible", deflate: deflate,
        frame(0xC2, compressed(noise(size)))),
    ]
  }

  private static func repeated(_ bytes: [UInt8], size: Int) -> [UInt8] {
    Array([[UInt8]](repeating: bytes, count: size / bytes.count).joined())
  }

  func relativeSize(to other: CostCase) -> Double { Double(bytes.count) / Double(other.bytes.count) }

  /// Takes the bytes, and returns what it cost in processor time: a busy machine interrupts what is measured.
  func cost(piece size: Int?) -> Double {
    var receiver = MessageReceiver(role: .client, deflate: deflate)
    var keeper = Keeper()
    var bytes = bytes
    let cost = bytes.withUnsafeMutableBytes { bytes in
      let start = processorTime()
      if size == 1, let base = bytes.baseAddress {
        var next = base
        while next < base + bytes.count {
          keeper.receive(UnsafeMutableRawBufferPointer(start: next, count: 1), by: &receiver)
          next += 1
        }
      } else {
        keeper.receive(bytes, by: &receiver)
      }
      return processorTime() - start
    }
    let hasFailed = keeper.hasFailed
    #expect(!hasFailed)
    return cost
  }

  private func processorTime() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
  }
}

/// A sink that does what an inbox does with a message: it keeps it.
private struct Keeper: MessageSink, ~Copyable {
  var last = WebSocketPayload()
  var hasFailed = false

  mutating func receiveMessage(_ kind: MessageKind, _ bytes: UnsafeRawBufferPointer) {
    last = WebSocketPayload(copying: bytes)
  }
  mutating func receiveMessage(_ kind: MessageKind, assembled payload: WebSocketPayload) { last = payload }

  mutating func receive(_ bytes: UnsafeMutableRawBufferPointer, by receiver: inout MessageReceiver) {
    guard var input = ReadCursor(bytes) else { return }
    while let interruption = receiver.receive(&input, into: &self) {
      switch interruption {
      case .ping(let bytes): last = WebSocketPayload(copying: bytes)
      case .violation: hasFailed = true
      case .pong, .close, .pause: break
      }
    }
  }
}
