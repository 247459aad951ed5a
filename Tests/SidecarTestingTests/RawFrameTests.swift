import SidecarTesting
import Testing

@Suite struct `Raw frames` {
  @Test func `a frame has the given bits`() {
    #expect(RawFrame(opcode: 1, payload: "Hello".utf8).bytes == [0x81, 5, 0x48, 0x65, 0x6C, 0x6C, 0x6F])
    #expect(RawFrame(opcode: 0x13, fin: false).bytes == [0x03, 0])
    #expect(RawFrame(opcode: 2, rsv1: true, rsv2: true, rsv3: true).bytes == [0xF2, 0])
    #expect(RawFrame(opcode: 2, rsv2: true).bytes == [0xA2, 0])
  }

  @Test func `masking matches the RFC's example`() {
    // RFC 6455 §5.7.
    let expected: [UInt8] = [0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58]
    #expect(RawFrame.text("Hello").masked(0x3D21_FA37).bytes == expected)
    #expect(RawFrame(opcode: 9, masked: true).bytes == [0x89, 0x80, 0x12, 0x34, 0x56, 0x78])
  }

  @Test func `a length is in the shortest form, in the given one, or false`() {
    func header(_ length: Int, _ encoding: RawFrame.LengthEncoding = .shortest) -> [UInt8] {
      let frame = RawFrame(opcode: 2, lengthEncoding: encoding, payload: [UInt8](repeating: 0, count: length))
      return Array(frame.bytes.dropFirst().dropLast(length))
    }
    #expect(header(125) == [125])
    #expect(header(126) == [126, 0, 126])
    #expect(header(65_535) == [126, 255, 255])
    #expect(header(65_536) == [127, 0, 0, 0, 0, 0, 1, 0, 0])
    #expect(header(5, .sixteenBits) == [126, 0, 5])
    #expect(header(5, .sixtyFourBits) == [127, 0, 0, 0, 0, 0, 0, 0, 5])
    #expect(header(129, .sevenBits) == [1])
    #expect(RawFrame(opcode: 2, declaredLength: .max).bytes == [0x82, 127] + [UInt8](repeating: 255, count: 8))
    #expect(RawFrame(opcode: 2, declaredLength: 3, payload: [1]).bytes == [0x82, 3, 1])
  }

  @Test func `a message is cut into fragments of the given size`() {
    #expect(RawFrame.fragments(of: "", size: 3) == [.text("")])
    #expect(RawFrame.fragments(of: "abc", size: 3) == [.text("abc")])
    #expect(
      RawFrame.fragments(of: [1, 2, 3], size: 2) == [.binary([1, 2], fin: false), .continuation([3], fin: true)])
    #expect(RawFrame.fragments(of: "ü", size: 1).map(\.bytes) == [[0x01, 1, 0xC3], [0x80, 1, 0xBC]])
  }

  @Test func `a Close frame can have any code`() {
    #expect(RawFrame.close().bytes == [0x88, 0])
    #expect(RawFrame.close(1005, reason: "x").bytes == [0x88, 3, 0x03, 0xED, 0x78])
    #expect(RawFrame.close(0).bytes == [0x88, 2, 0, 0])
  }
}
