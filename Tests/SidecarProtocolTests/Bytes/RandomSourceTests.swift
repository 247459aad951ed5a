import Testing
import SidecarProtocol

@Suite struct RandomSourceTests {
  /// A source that fails while it is told to.
  private final class Faulty: Sendable {
    nonisolated(unsafe) var isFailing = false
    nonisolated(unsafe) var byteCounts: [Int] = []

    var source: RandomSource {
      RandomSource { bytes in
        self.byteCounts.append(bytes.count)
        if self.isFailing { return 38 }
        for index in bytes.indices {
          bytes[index] = UInt8(truncatingIfNeeded: self.byteCounts.count &* 64 &+ index / 4 + 1)
        }
        return 0
      }
    }
  }

  @Test func `a kernel that has no randomness is a typed error`() {
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 257, alignment: 1)
    defer { bytes.deallocate() }
    // More than it gives at once.
    #expect(throws: RandomnessError.self) { try RandomSource.kernel.fill(bytes) }
    #expect(throws: Never.self) { try RandomSource.kernel.fill(UnsafeMutableRawBufferPointer(start: nil, count: 0)) }
    #expect(throws: RandomnessError(code: 38)) { try HandshakeKey.random(from: RandomSource { _ in 38 }) }
  }

  @Test func `a connection draws few keys first, then whole blocks, and none twice`() throws {
    let faulty = Faulty()
    var keys = MaskKeySource(randomness: faulty.source)
    #expect(faulty.byteCounts.isEmpty)
    try keys.prepare()
    try keys.prepare()
    #expect(faulty.byteCounts == [32])
    var seen: Set<UInt32> = []
    for _ in 0..<(8 + 64 + 1) { seen.insert(try keys.nextKey()) }
    #expect(faulty.byteCounts == [32, 256, 256])
    #expect(seen.count > 64)
  }

  @Test func `a failure hands out no key, and a later call tries again`() throws {
    let faulty = Faulty()
    faulty.isFailing = true
    var keys = MaskKeySource(randomness: faulty.source)
    #expect(throws: RandomnessError(code: 38)) { try keys.prepare() }
    #expect(throws: RandomnessError(code: 38)) { _ = try keys.nextKey() }
    faulty.isFailing = false
    // The block after the first is a large one, whether the first could be drawn or not.
    for _ in 0..<64 { _ = try keys.nextKey() }
    faulty.isFailing = true
    for _ in 0..<3 {
      #expect(throws: RandomnessError(code: 38)) { _ = try keys.nextKey() }
    }
    faulty.isFailing = false
    #expect(try keys.nextKey() != 0)
  }
}
