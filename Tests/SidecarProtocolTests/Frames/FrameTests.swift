import Testing
import SidecarProtocol

@Suite struct FrameTests {
  @Test(arguments: [0, 1, 125, 126, 127, 65_535, 65_536, UInt64(UInt32.max), UInt64(Int64.max)])
  func `a header comes back as it was written`(_ length: UInt64) throws {
    for opcode in Opcode.allCases {
      for (fin, rsv1, key) in [(true, false, nil), (false, true, UInt32(0x1234_5678))] {
        let header = FrameHeader(opcode: opcode, fin: fin, rsv1: rsv1, maskKey: key, payloadLength: length)
        var bytes = [UInt8](repeating: 0xEE, count: FrameHeader.maximumByteCount)
        let size = bytes.withUnsafeMutableBytes { header.encode(to: $0.baseAddress!) }
        #expect(size == header.byteCount)
        #expect(size == FrameHeader.byteCount(secondByte: bytes[1]))
        #expect(bytes.withUnsafeBytes { FrameHeader(decoding: $0) } == header)
        for cut in 0..<size {
          #expect(bytes[..<cut].withUnsafeBytes { FrameHeader(decoding: $0) } == nil)
        }
      }
    }
  }

  @Test func `a header with a reserved opcode does not decode`() {
    #expect([UInt8(0x83), 0].withUnsafeBytes { FrameHeader(decoding: $0) } == nil)
  }

  @Test func `the examples of RFC 6455 §5.7 are written as they stand there`() {
    #expect(written(.text, utf8("Hello"), maskKey: nil) == [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f])
    #expect(
      written(.text, utf8("Hello"), maskKey: 0x3D21_FA37)
        == [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58])
    #expect(written(.text, utf8("Hel"), fin: false, maskKey: nil) == [0x01, 0x03, 0x48, 0x65, 0x6c])
    #expect(written(.continuation, utf8("lo"), maskKey: nil) == [0x80, 0x02, 0x6c, 0x6f])
    #expect(written(.ping, utf8("Hello"), maskKey: nil) == [0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f])
    #expect(written(.binary, noise(256), maskKey: nil) == [0x82, 0x7E, 0x01, 0x00] + noise(256))
    #expect(written(.binary, noise(65_536), maskKey: nil) == [0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0] + noise(65_536))
  }

  @Test(arguments: [0, 1, 2, 3, 7, 8, 9, 63, 64, 65, 125, 126, 200, 65_535, 65_536])
  func `a masked frame of any size reads back`(_ size: Int) {
    for (fin, rsv1) in [(true, false), (false, true)] {
      let bytes = written(.binary, noise(size), fin: fin, rsv1: rsv1, maskKey: 0xDEAD_BEEF)
      let first: UInt8 = (fin ? 0x80 : 0) | (rsv1 ? 0x40 : 0) | 2
      #expect(bytes == frame(first, noise(size), key: 0xDEAD_BEEF))
    }
  }

  @Test func `opcodes know which of them are control frames`() {
    #expect(Opcode.allCases.filter(\.isControl) == [.connectionClose, .ping, .pong])
    #expect(Opcode(.text) == .text)
    #expect(Opcode(.binary) == .binary)
    #expect(Opcode.allCases.map(\.description) == ["continuation", "text", "binary", "close", "ping", "pong"])
  }

  private func written(
    _ opcode: Opcode, _ payload: [UInt8], fin: Bool = true, rsv1: Bool = false, maskKey: UInt32?
  ) -> [UInt8] {
    var buffer = ByteBuffer()
    payload.withUnsafeBytes {
      FrameWriter.append(opcode, fin: fin, rsv1: rsv1, payload: $0, maskKey: maskKey, to: &buffer)
    }
    return Array(buffer.bytes)
  }
}

@Suite struct MaskTests {
  private let key: UInt32 = 0x0403_0201

  private func expected(_ bytes: [UInt8], offset: Int) -> [UInt8] {
    bytes.enumerated().map { $0.element ^ UInt8(($0.offset + offset) % 4 + 1) }
  }

  @Test func `masking combines each byte with the key's, from any offset and in place`() {
    for size in Array(0...70) + [127, 128, 129, 1000] {
      for offset in 0..<8 {
        var bytes = noise(size)
        bytes.withUnsafeMutableBytes { Mask.apply(key: key, offset: offset, to: $0) }
        #expect(bytes == expected(noise(size), offset: offset))
      }
    }
  }

  @Test func `masking copies unaligned bytes and writes no further`() {
    for size in Array(0...70) + [200] {
      for shift in 0..<4 {
        let source = noise(size + shift)
        var target = [UInt8](repeating: 0xAA, count: size + 8)
        source[shift...].withUnsafeBytes { source in
          target.withUnsafeMutableBytes { Mask.copy(source, to: $0.baseAddress! + 3, key: key) }
        }
        #expect(Array(target[3..<(3 + size)]) == expected(Array(source[shift...]), offset: 0))
        #expect(target[..<3].allSatisfy { $0 == 0xAA } && target[(3 + size)...].allSatisfy { $0 == 0xAA })
      }
    }
  }

  @Test func `nothing is masked where there is nothing`() {
    Mask.apply(key: key, to: UnsafeMutableRawBufferPointer(start: nil, count: 0))
    withUnsafeTemporaryAllocation(byteCount: 1, alignment: 1) {
      $0[0] = 7
      Mask.copy(UnsafeRawBufferPointer(start: nil, count: 0), to: $0.baseAddress!, key: key)
      #expect($0[0] == 7)
    }
  }

  @Test func `mask keys do not repeat and are spread over all their bits`() throws {
    var source = MaskKeySource()
    var seen: Set<UInt32> = []
    var ones = [Int](repeating: 0, count: 32)
    let count = 10_000
    for _ in 0..<count {
      let key = try source.nextKey()
      seen.insert(key)
      for bit in 0..<32 where key >> UInt32(bit) & 1 == 1 { ones[bit] += 1 }
    }
    // About 12 pairs among 10,000 draws out of 2^32 are one in a hundred; 20 would be a fault.
    #expect(seen.count > count - 20)
    #expect(ones.allSatisfy { abs($0 - count / 2) < count / 20 })
  }
}
