/// Turns opcodes and payloads into frames on the wire (RFC 6455 §5.2).
@usableFromInline
package enum FrameWriter {
  /// Appends one frame to `buffer`, in one pass over the payload.
  ///
  /// A client gives a fresh `maskKey` with every frame, a server none (RFC 6455 §5.1).
  @inlinable
  package static func append(
    _ opcode: Opcode, fin: Bool = true, rsv1: Bool = false, payload: UnsafeRawBufferPointer, maskKey: UInt32?,
    to buffer: inout ByteBuffer
  ) {
    let start = buffer.reserve(FrameHeader.maximumByteCount &+ payload.count)
    let headerSize: Int
    if payload.count <= 125, let maskKey {
      // The short masked header is 6 bytes: one store, whose last two bytes the payload overwrites.
      let first = opcode.rawValue | (fin ? FrameHeader.finBit : 0) | (rsv1 ? FrameHeader.rsv1Bit : 0)
      let second = UInt8(truncatingIfNeeded: payload.count) | FrameHeader.maskBit
      let header = UInt64(first) | UInt64(second) &<< 8 | UInt64(maskKey) &<< 16
      start.storeBytes(of: header.littleEndian, as: UInt64.self)
      headerSize = 6
    } else {
      let header = FrameHeader(
        opcode: opcode, fin: fin, rsv1: rsv1, maskKey: maskKey, payloadLength: UInt64(payload.count))
      headerSize = header.encode(to: start)
    }
    if let maskKey {
      Mask.copy(payload, to: start + headerSize, key: maskKey)
    } else if let source = payload.baseAddress {
      (start + headerSize).copyMemory(from: source, byteCount: payload.count)
    }
    buffer.commit(headerSize &+ payload.count)
  }
}
