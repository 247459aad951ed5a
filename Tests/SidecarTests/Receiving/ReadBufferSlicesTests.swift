import Glibc
import SidecarProtocol
import Testing

@testable import Sidecar

@Suite struct ReadBufferSlicesTests {
  /// Memory as `malloc` returns it, which belongs to the payloads in it if there are any when `body` returns.
  private func withMemory(
    reading count: Int, _ body: (inout ReadBufferSlices, UnsafeMutableRawBufferPointer) throws -> Void
  ) rethrows {
    let memory = UnsafeMutableRawBufferPointer(start: malloc(64 * 1024), count: 64 * 1024)
    for (index, byte) in noise(count).enumerated() { memory[index] = byte }
    var read = ReadBufferSlices(of: count, in: memory)
    defer { if !read.isShared { free(memory.baseAddress) } }
    try body(&read, memory)
  }

  private func part(_ memory: UnsafeMutableRawBufferPointer, _ range: Range<Int>) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(UnsafeMutableRawBufferPointer(rebasing: memory[range]))
  }

  @Test func `large messages of a read become payloads in place, and outlive it`() throws {
    var payloads: [WebSocketPayload] = []
    try withMemory(reading: 65_536) { read, memory in
      for range in [4..<16_388, 16_392..<24_584, 57_344..<65_536] {
        let shared = read.share(part(memory, range))
        let payload = try #require(shared)
        #expect(payload.withUnsafeBytes { $0.baseAddress } == part(memory, range).baseAddress)
        payloads.append(payload)
      }
      let (isShared, unshared) = (read.isShared, read.unsharedByteCount)
      #expect(isShared && unshared == 65_536 - 32_768)
    }
    let bytes = noise(65_536)
    let expected = [bytes[4..<16_388], bytes[16_392..<24_584], bytes[57_344...]]
    #expect(payloads.map { Array($0) } == expected.map { Array($0) })
  }

  @Test func `what is small is not shared, and neither is a read that brought little`() {
    withMemory(reading: 65_536) { read, memory in
      let small = read.share(part(memory, 0..<8191))
      let (isShared, unshared) = (read.isShared, read.unsharedByteCount)
      #expect(small == nil && !isShared && unshared == 0)
    }
    withMemory(reading: 32_767) { read, memory in
      let payload = read.share(part(memory, 0..<16_384))
      #expect(payload == nil)
    }
  }

  @Test func `what is elsewhere is not shared`() {
    withMemory(reading: 65_536) { read, _ in
      let other = noise(20_000).withUnsafeBytes { read.share($0) }
      #expect(other == nil)
    }
    var nothing = ReadBufferSlices()
    let payload = noise(20_000).withUnsafeBytes { nothing.share($0) }
    #expect(payload == nil)
  }

  @Test func `memory that is kept for later is freed with the slices`() throws {
    let memory = UnsafeMutableRawBufferPointer(start: malloc(64 * 1024), count: 64 * 1024)
    var slices = ReadBufferSlices(of: 100, in: memory)
    slices.adoptMemory()
    let (isShared, unshared) = (slices.isShared, slices.unsharedByteCount)
    #expect(isShared && unshared == 0)
  }
}
