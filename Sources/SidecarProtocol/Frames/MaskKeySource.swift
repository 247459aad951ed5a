internal import CSidecarOpenSSL
internal import Glibc

/// Draws masking keys that a peer, or a script that chooses the payload, cannot predict (RFC 6455 §5.3 and §10.3).
///
/// A system call for each key would cost 300 ns, more than the rest of a small frame. Keys are therefore drawn by the
/// block: 8 at first, which is all that many a connection ever needs, and from then on 64 of them, the 256 bytes that the
/// kernel hands out in one call that cannot be interrupted. A key is wiped when it is handed out and none is handed out
/// twice. A source that is never asked has no block.
///
/// Not thread-safe: it belongs to whoever owns the outgoing bytes.
package struct MaskKeySource: ~Copyable {
  static let keysPerBlock = 64
  static let keysInFirstBlock = 8

  private var block: UnsafeMutablePointer<UInt32>?
  private var capacity = 0
  private var next = 0

  /// Makes a source that has drawn nothing yet: the kernel is first asked with the first key.
  package init() {}

  deinit {
    guard let block else { return }
    // A plain store right before the memory is freed may be optimised away.
    OPENSSL_cleanse(block, capacity * MemoryLayout<UInt32>.size)
    block.deallocate()
  }

  /// Returns a key that has never been returned before.
  package mutating func nextKey() -> UInt32 {
    if let block, next < capacity {
      let key = block[next]
      block[next] = 0
      next &+= 1
      return key
    }
    return firstKeyOfNewBlock()
  }

  private mutating func firstKeyOfNewBlock() -> UInt32 {
    let block = roomForNewBlock()
    fillWithKernelRandomness(
      UnsafeMutableRawBufferPointer(start: block, count: capacity * MemoryLayout<UInt32>.size))
    let key = block[0]
    block[0] = 0
    next = 1
    return key
  }

  private mutating func roomForNewBlock() -> UnsafeMutablePointer<UInt32> {
    if let block, capacity == Self.keysPerBlock { return block }
    // All keys of a smaller block have been handed out, and wiped.
    block?.deallocate()
    capacity = block == nil ? Self.keysInFirstBlock : Self.keysPerBlock
    let room = UnsafeMutablePointer<UInt32>.allocate(capacity: capacity)
    block = room
    return room
  }
}

// The block of keys has one owner, this value, which cannot be copied; nothing else points to it.
extension MaskKeySource: @unchecked Sendable {}

/// Fills up to 256 bytes from `getrandom(2)`, through the wrapper that returns all of them or none.
///
/// It fails only where there is no such system call; that would leave the process without unpredictable keys, and ends
/// it.
func fillWithKernelRandomness(_ bytes: UnsafeMutableRawBufferPointer) {
  guard let start = bytes.baseAddress else { return }
  let result = getentropy(start, bytes.count)
  precondition(result == 0, "getentropy(3) failed with errno \(errno): there are no unpredictable keys without it.")
}
