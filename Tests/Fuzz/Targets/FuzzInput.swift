import SidecarProtocol

/// The bytes of one run: a few that choose how, and the rest, which is what the peer sends.
struct FuzzInput {
  private var bytes: UnsafeRawBufferPointer.SubSequence

  init(_ bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes[...]
  }

  /// Takes the next byte; 0 when there is none, so that every input means something.
  mutating func byte() -> UInt8 { bytes.popFirst() ?? 0 }

  /// What has not been taken.
  var rest: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: bytes) }

  /// Takes a role.
  mutating func role() -> Role { byte() & 1 == 0 ? .client : .server }

  /// Takes limits: the defaults, or small ones that a short input can reach.
  mutating func limits() -> ProtocolLimits {
    switch byte() & 7 {
    case 1: ProtocolLimits(maximumMessageSize: 0)
    case 2: ProtocolLimits(maximumMessageSize: 10, maximumFrameSize: 100)
    case 3: ProtocolLimits(maximumMessageSize: 100, maximumFrameSize: 10)
    case 4: ProtocolLimits(maximumMessageSize: 1000, maximumFragmentsPerMessage: 3)
    case 5: ProtocolLimits(maximumMessageSize: 100_000, maximumFrameSize: 1000)
    case 6: ProtocolLimits(maximumFragmentsPerMessage: 1)
    default: ProtocolLimits(maximumMessageSize: 1 << 20)
    }
  }

  /// Takes what two endpoints have agreed on for compression.
  mutating func agreement() -> PermessageDeflate.Agreement {
    let flags = byte()
    let bits = byte()
    return PermessageDeflate.Agreement(
      serverNoContextTakeover: flags & 1 != 0, clientNoContextTakeover: flags & 2 != 0,
      serverMaxWindowBits: 15 - Int(bits & 7), clientMaxWindowBits: 15 - Int(bits >> 3 & 7))
  }

  /// Takes a way to cut the rest.
  mutating func cutting() -> Cutting { .random(seed: byte()) }
}

/// How bytes are cut on their way to a receiver.
enum Cutting: CustomStringConvertible {
  case whole
  case single
  case random(seed: UInt8)

  var description: String {
    switch self {
    case .whole: "whole"
    case .single: "byte by byte"
    case .random(let seed): "cut by seed \(seed)"
    }
  }

  /// Calls `body` with each piece, in memory of exactly its size, which does not live longer than the call: a sanitizer
  /// sees whoever reads beyond it or keeps a pointer to it.
  func forEachPiece<Failure: Error>(
    of bytes: UnsafeRawBufferPointer, _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure) {
    var random = SmallRandom(seed: self)
    var start = 0
    while start < bytes.count {
      let count = min(random.nextSize(self), bytes.count - start)
      let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 1)
      defer { piece.deallocate() }
      piece.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[start..<(start + count)]))
      try body(piece)
      start += count
    }
  }
}

/// A small generator: the same input is cut the same way each time.
private struct SmallRandom {
  private var state: UInt32

  init(seed: Cutting) {
    if case .random(let seed) = seed { state = UInt32(seed) &* 2_654_435_761 | 1 } else { state = 1 }
  }

  mutating func nextSize(_ cutting: Cutting) -> Int {
    switch cutting {
    case .whole: return .max
    case .single: return 1
    case .random:
      state ^= state << 13
      state ^= state >> 17
      state ^= state << 5
      // Mostly a few bytes, which cut headers and characters; now and then many.
      return 1 + Int(state >> 8 & (state & 3 == 0 ? 0xFF : 0x07))
    }
  }
}
