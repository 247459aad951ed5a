internal import CSidecarOpenSSL

/// Draws masking keys that a peer, or a script that chooses the payload, cannot predict (RFC 6455 §5.3, §10.3).
///
/// A system call for each key would cost 300 ns, more than the rest of a small frame. Keys are therefore drawn in
/// blocks: 8 keys first, which is all that many connections ever need, then 64 at a time, the 256 bytes that the kernel
/// returns from one call that cannot be interrupted. A key is wiped when it is handed out, and none is handed out
/// twice.
///
/// Not thread-safe.
package struct MaskKeySource: ~Copyable {
  static let keysPerBlock = 64
  static let keysInFirstBlock = 8

  private let randomness: RandomSource
  private var block: UnsafeMutablePointer<UInt32>?
  private var capacity = 0
  private var next = 0

  /// Makes a source that has drawn nothing yet.
  package init(randomness: RandomSource = .kernel) {
    self.randomness = randomness
  }

  deinit {
    guard let block else { return }
    // A plain store right before the memory is freed may be optimised away.
    OPENSSL_cleanse(block, capacity * MemoryLayout<UInt32>.size)
    block.deallocate()
  }

  /// Draws the first block, so that a connection that cannot have keys fails while it opens.
  ///
  /// - Throws: ``RandomnessError`` if the system has no randomness to give.
  package mutating func prepare() throws(RandomnessError) {
    if next == capacity { try drawBlock() }
  }

  /// Returns a key that has never been returned before.
  ///
  /// - Throws: ``RandomnessError`` if a new block is needed and the system has no randomness to give. A later call
  ///   tries again.
  package mutating func nextKey() throws(RandomnessError) -> UInt32 {
    if let block, next < capacity { return take(from: block) }
    return take(from: try drawBlock())
  }

  private mutating func take(from block: UnsafeMutablePointer<UInt32>) -> UInt32 {
    let key = block[next]
    block[next] = 0
    next &+= 1
    return key
  }

  @discardableResult
  private mutating func drawBlock() throws(RandomnessError) -> UnsafeMutablePointer<UInt32> {
    let block = roomForNewBlock()
    // Until the new keys are there, none is left to hand out.
    next = capacity
    try randomness.fill(UnsafeMutableRawBufferPointer(start: block, count: capacity * MemoryLayout<UInt32>.size))
    next = 0
    return block
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
