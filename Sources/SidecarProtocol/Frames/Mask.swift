/// The masking of RFC 6455 §5.3: byte `i` of a payload is combined by exclusive or with byte `i mod 4` of the key.
///
/// A key is a `UInt32` whose lowest byte is the first byte on the wire. Masking and unmasking are the same operation.
@usableFromInline
package enum Mask {
  /// Masks `bytes` where they are.
  ///
  /// `offset` is where in the frame's payload they begin, for a payload that arrives in pieces.
  package static func apply(key: UInt32, offset: Int = 0, to bytes: UnsafeMutableRawBufferPointer) {
    guard let start = bytes.baseAddress else { return }
    combine(from: UnsafeRawPointer(start), to: start, count: bytes.count, key: rotated(key, by: offset))
  }

  /// Copies `source` to `destination` and masks it on the way: each byte is read and written once.
  ///
  /// `destination` has room for `source.count` bytes and does not overlap `source`.
  @inlinable
  package static func copy(
    _ source: UnsafeRawBufferPointer, to destination: UnsafeMutableRawPointer, key: UInt32
  ) {
    guard let start = source.baseAddress else { return }
    combine(from: start, to: destination, count: source.count, key: key)
  }

  /// The key as it applies to a payload's bytes from `offset` on.
  @inlinable
  package static func rotated(_ key: UInt32, by offset: Int) -> UInt32 {
    let bits = UInt32(truncatingIfNeeded: offset & 3) &* 8
    return bits == 0 ? key : key &>> bits | key &<< (32 &- bits)
  }

  /// `source` and `destination` are either the same or do not overlap.
  @inlinable
  static func combine(
    from source: UnsafeRawPointer, to destination: UnsafeMutableRawPointer, count: Int, key: UInt32
  ) {
    let word = (UInt64(key) &<< 32 | UInt64(key)).littleEndian
    var index = 0
    if count >= 64 {
      let block = SIMD8<UInt64>(repeating: word)
      repeat {
        let masked = source.loadUnaligned(fromByteOffset: index, as: SIMD8<UInt64>.self) ^ block
        destination.storeBytes(of: masked, toByteOffset: index, as: SIMD8<UInt64>.self)
        index &+= 64
      } while count &- index >= 64
    }
    while count &- index >= 8 {
      let masked = source.loadUnaligned(fromByteOffset: index, as: UInt64.self) ^ word
      destination.storeBytes(of: masked, toByteOffset: index, as: UInt64.self)
      index &+= 8
    }
    // `index` is a multiple of 8 here, so the rest begins with the key's first byte.
    var rest = key
    while index < count {
      let masked = source.load(fromByteOffset: index, as: UInt8.self) ^ UInt8(truncatingIfNeeded: rest)
      destination.storeBytes(of: masked, toByteOffset: index, as: UInt8.self)
      rest = rest &>> 8 | rest &<< 24
      index &+= 1
    }
  }
}
