/// What makes a compressed message a deflate stream that ends (RFC 1951 §3.2.3): the tail that its sender has removed (RFC 7692
/// §7.2.1), and a stored block that says it is the last.
///
/// zlib remembers nothing of a stream that it has read to its end, which spares it a copy of all it puts out. But a message that
/// was cut inside its last block could go on with whatever stands behind it, and end there. So the block's bytes are random: a
/// peer cannot know them, and only as a stored block's data can they come out. Either that block is the seal's, or it began
/// before: then the header of the seal's has come out in front of them.
struct DeflateTerminator {
  /// How many bytes it has.
  static let size = 16

  /// How many of them come out: those of the block.
  static let contentSize = 7

  /// How many bytes the block has, header included.
  private static let blockSize = 12

  // The tail, the block's header, and the first half of its length and of that inverted; the other half, and the content.
  let bytes: (UInt64, UInt64)

  /// Makes a seal of random content.
  init() {
    let random = UInt64.random(in: 0 ... .max)
    bytes = (UInt64(littleEndian: 0xF800_0701_FFFF_0000), UInt64(littleEndian: random << 8 | 0xFF))
  }

  /// Whether `output`, which a stream that has ended came to, ends with the content of the seal's block, and has that from the
  /// seal: not from a stored block that was cut.
  @inline(__always)
  func isAtEnd(of output: UnsafeRawBufferPointer) -> Bool {
    guard output.count >= Self.blockSize else { return isAtEnd(ofShort: output) }
    let start = output.count - Self.blockSize
    let header = output.loadUnaligned(fromByteOffset: start, as: UInt32.self)
    let rest = output.loadUnaligned(fromByteOffset: start + 4, as: UInt64.self)
    guard (rest ^ bytes.1).littleEndian >> 8 == 0 else { return false }
    return rest != bytes.1 || UInt64(header.littleEndian) != bytes.0.littleEndian >> 32
  }

  /// Whether a short `output` ends with the content of the seal's block.
  private func isAtEnd(ofShort output: UnsafeRawBufferPointer) -> Bool {
    let last = output.reduce(0) { last, byte in last >> 8 | UInt64(byte) << 56 }
    return output.count >= Self.contentSize && (last ^ bytes.1.littleEndian) >> 8 == 0
  }
}

extension UnsafeRawBufferPointer {
  /// Calls `body` while `bytes` stand behind these, where as many can be written to; they are put back.
  ///
  /// zlib takes both in one call so. Asked a second time for four bytes, it takes as long as for a short message.
  @inline(__always)
  func followed<Bytes: BitwiseCopyable, Result, Failure>(
    by bytes: Bytes, _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    guard let baseAddress else { return try body() }
    let end = UnsafeMutableRawPointer(mutating: baseAddress + count)
    let replaced = end.loadUnaligned(as: Bytes.self)
    end.storeBytes(of: bytes, as: Bytes.self)
    defer { end.storeBytes(of: replaced, as: Bytes.self) }
    return try body()
  }
}
