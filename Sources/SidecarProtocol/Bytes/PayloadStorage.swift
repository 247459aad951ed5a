internal import Glibc

/// A block of `malloc`ed memory that payloads point into; it is freed with the last of them.
///
/// Plain `malloc` and not memory behind the object: a large message grows by `realloc`, which moves pages instead of
/// bytes, and its memory becomes a chunk without being copied.
@usableFromInline
package final class PayloadChunk {
  @usableFromInline let base: UnsafeMutableRawPointer

  /// Makes a chunk of uninitialised memory.
  init(byteCount: Int) {
    base = allocateMemory(byteCount)
  }

  /// Makes a chunk of memory that `malloc` returned, and owns it from here on.
  init(adopting memory: UnsafeMutableRawPointer) {
    base = memory
  }

  deinit {
    free(base)
  }
}

// Each byte is written once, by the arena or storage that made the chunk, before a payload that covers it exists; no
// payload can write. So no byte is written while another thread can read it.
extension PayloadChunk: @unchecked Sendable {}

/// Stores many small payloads one behind the other in one chunk, so that a small message costs no allocation.
///
/// A payload keeps its whole chunk alive. Small ones, up to 1 KiB, share chunks of 8 KiB, or with room for sixteen like the first
/// if that is more: so 16 KiB is the most that keeping a single small payload costs. A larger one gets a chunk of its own
/// size. Belongs to one thread.
@usableFromInline
package struct PayloadArena: ~Copyable {
  /// The largest payload that shares a chunk, in bytes. At most an eighth of a chunk is left unused.
  @usableFromInline package static let maximumSharedPayload = 1024

  @usableFromInline static let minimumChunkSize = 8192

  /// The larger the payloads, the more a chunk costs each of them: it is taken by one thread, and given back by another.
  @usableFromInline static let payloadsPerChunk = 16

  // Without a chunk, its size is 0 and there is no room.
  @usableFromInline var chunk: PayloadChunk?
  @usableFromInline var chunkSize: Int
  @usableFromInline var used: Int

  /// Makes an arena that allocates with its first payload.
  package init() {
    chunk = nil
    chunkSize = 0
    used = 0
  }

  /// Begins a chunk for payloads like the first one, which takes `byteCount` bytes of it.
  @usableFromInline
  mutating func beginChunk(_ byteCount: Int) -> PayloadChunk {
    chunkSize = max(Self.minimumChunkSize, Self.payloadsPerChunk * byteCount)
    let chunk = PayloadChunk(byteCount: chunkSize)
    self.chunk = chunk
    used = 0
    return chunk
  }

  /// Returns a copy of `bytes` as a payload.
  @inlinable
  package mutating func store(_ bytes: UnsafeRawBufferPointer) -> WebSocketPayload {
    let count = bytes.count
    guard let source = bytes.baseAddress, let chunk, count <= min(Self.maximumSharedPayload, chunkSize &- used)
    else { return storeInNewChunk(bytes) }
    let offset = used
    (chunk.base + offset).copyMemory(from: source, byteCount: count)
    used = offset &+ count
    return WebSocketPayload(
      chunk: chunk, offset: UInt32(truncatingIfNeeded: offset), length: UInt32(truncatingIfNeeded: count))
  }

  @usableFromInline
  mutating func storeInNewChunk(_ bytes: UnsafeRawBufferPointer) -> WebSocketPayload {
    guard let source = bytes.baseAddress, !bytes.isEmpty else { return WebSocketPayload() }
    guard bytes.count <= Self.maximumSharedPayload else { return WebSocketPayload(copying: bytes) }
    let chunk = beginChunk(bytes.count)
    chunk.base.copyMemory(from: source, byteCount: bytes.count)
    used = bytes.count
    return WebSocketPayload(chunk: chunk, offset: 0, length: UInt32(truncatingIfNeeded: bytes.count))
  }
}

/// Short messages that lie one behind the other in a chunk, each behind two bytes with its length and kind.
///
/// One reference to the chunk counts for all of them: counting one for each message, on one thread up and on another one
/// down, costs more than the rest of handing it over. And text becomes a string only where it is taken.
@usableFromInline
package struct PackedBatch: Sendable {
  @usableFromInline let chunk: PayloadChunk?

  /// Where the first message lies that has not been taken.
  @usableFromInline var start: UInt32
  @usableFromInline var end: UInt32

  @usableFromInline static let headerSize = 2

  /// Beside the length, which is at most `PayloadArena.maximumSharedPayload`.
  @usableFromInline static let textBit: UInt16 = 0x8000
  @usableFromInline static let asciiBit: UInt16 = 0x4000
  @usableFromInline static let lengthBits: UInt16 = 0x3FFF

  /// Makes a run without messages, to which none can be added.
  @inlinable
  package init() {
    self.init(chunk: nil, start: 0, end: 0)
  }

  @inlinable
  init(chunk: PayloadChunk?, start: UInt32, end: UInt32) {
    self.chunk = chunk
    self.start = start
    self.end = end
  }

  @inlinable
  var base: UnsafeMutableRawPointer { chunk.unsafelyUnwrapped.base }

  @inlinable package var isEmpty: Bool { start == end }

  @inlinable
  var first: (kind: UInt16, offset: Int, length: Int) {
    let header = (base + Int(start)).loadUnaligned(as: UInt16.self)
    return (header & ~Self.lengthBits, Int(start) &+ Self.headerSize, Int(header & Self.lengthBits))
  }

  /// Takes the first message. There has to be one.
  @inlinable @inline(__always)
  package mutating func takeFirst() -> WebSocketMessage {
    let (kind, offset, length) = first
    start = UInt32(truncatingIfNeeded: offset &+ length)
    if kind != 0 {
      let bytes = UnsafeRawBufferPointer(start: base + offset, count: length)
      return .text(String(validUTF8: bytes, isASCII: kind & Self.asciiBit != 0))
    }
    if length == 0 { return .binary(WebSocketPayload()) }
    return .binary(
      WebSocketPayload(
        chunk: chunk, offset: UInt32(truncatingIfNeeded: offset), length: UInt32(truncatingIfNeeded: length)))
  }

  /// Takes the first message as a run of its own, for another thread to take it from. There has to be one.
  package mutating func splitFirst() -> PackedBatch {
    let (_, offset, length) = first
    let one = PackedBatch(chunk: chunk, start: start, end: UInt32(truncatingIfNeeded: offset + length))
    start = one.end
    return one
  }

  /// Where the first message lies, with its header. There has to be one.
  @inlinable package var memoryOfFirst: UnsafeRawBufferPointer {
    let (_, offset, length) = first
    return UnsafeRawBufferPointer(start: base + Int(start), count: offset &- Int(start) &+ length)
  }

  /// Whether there is no message behind the first one.
  @inlinable package var hasOne: Bool {
    let (_, offset, length) = first
    return offset &+ length == Int(end)
  }

  /// The size of the first message in bytes; 0 if there is none.
  package var byteCountOfFirst: Int { isEmpty ? 0 : first.length }
}

extension PayloadArena {
  /// Appends a short message to `run`, which is the last thing that was stored; returns false, and does nothing, if there is
  /// no room for it.
  @inlinable @inline(__always)
  package mutating func store(
    _ kind: MessageKind, isASCII: Bool, _ bytes: UnsafeRawBufferPointer, in run: inout PackedBatch
  ) -> Bool {
    guard !run.isEmpty, bytes.count &+ PackedBatch.headerSize <= chunkSize &- used else { return false }
    place(kind, isASCII: isASCII, bytes, at: run.base + used)
    run.end = UInt32(truncatingIfNeeded: used)
    return true
  }

  /// Stores a message of at most `maximumSharedPayload` bytes as the first one of a run.
  package mutating func startRun(_ kind: MessageKind, isASCII: Bool, _ bytes: UnsafeRawBufferPointer) -> PackedBatch {
    let size = bytes.count + PackedBatch.headerSize
    let current = size <= chunkSize - used ? chunk : nil
    let chunk = current ?? beginChunk(size)
    let start = used
    place(kind, isASCII: isASCII, bytes, at: chunk.base + used)
    return PackedBatch(
      chunk: chunk, start: UInt32(truncatingIfNeeded: start), end: UInt32(truncatingIfNeeded: used))
  }

  @inlinable @inline(__always)
  mutating func place(
    _ kind: MessageKind, isASCII: Bool, _ bytes: UnsafeRawBufferPointer, at target: UnsafeMutableRawPointer
  ) {
    let count = bytes.count
    assert(count <= Self.maximumSharedPayload)
    var header = UInt16(truncatingIfNeeded: count)
    if kind == .text { header |= isASCII ? PackedBatch.textBit | PackedBatch.asciiBit : PackedBatch.textBit }
    target.storeBytes(of: header, as: UInt16.self)
    // What was put into `inflateDestination` is where it belongs.
    if let source = bytes.baseAddress, source != UnsafeRawPointer(target + PackedBatch.headerSize) {
      (target + PackedBatch.headerSize).copyMemory(from: source, byteCount: count)
    }
    used &+= count &+ PackedBatch.headerSize
  }

  /// Where the bytes of the next short message will be. Whatever is there when that is stored is not copied.
  package var inflateDestination: UnsafeMutableRawBufferPointer {
    guard let chunk, used + PackedBatch.headerSize < chunkSize else {
      return UnsafeMutableRawBufferPointer(start: nil, count: 0)
    }
    let start = used + PackedBatch.headerSize
    return UnsafeMutableRawBufferPointer(start: chunk.base + start, count: chunkSize - start)
  }
}

/// The memory of one read, in which large messages become payloads where they lie.
///
/// Copying them costs less than the memory they would be copied to. Only a read that is half full at least is shared, and
/// only with messages of an eighth of the memory: neither do a few bytes keep 64 KiB, nor does each message take new memory
/// where there is little to read.
package struct ReadBufferSlices: ~Copyable {
  private let memory: UnsafeMutableRawBufferPointer
  private let isWorthSharing: Bool
  private var chunk: PayloadChunk?
  private var sharedByteCount = 0

  /// Nothing is being read.
  package init() {
    memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    isWorthSharing = false
  }

  /// Makes a read that has put `count` bytes into `memory`, which `malloc` returned.
  package init(of count: Int, into memory: UnsafeMutableRawBufferPointer) {
    self.memory = memory
    isWorthSharing = count >= memory.count / 2
  }

  /// Whether there are payloads in the memory, so that it is freed with the last of them.
  package var isShared: Bool { chunk != nil }

  /// How much more memory than their own bytes the payloads keep.
  package var unsharedByteCount: Int { isShared ? memory.count - sharedByteCount : 0 }

  /// Returns `bytes` as a payload without copying them; nil if they are too few, or lie elsewhere.
  package mutating func share(_ bytes: UnsafeRawBufferPointer) -> WebSocketPayload? {
    guard isWorthSharing, bytes.count >= memory.count / 8, let base = memory.baseAddress, let start = bytes.baseAddress,
      start >= base, start + bytes.count <= base + memory.count
    else { return nil }
    let chunk = chunk ?? PayloadChunk(adopting: base)
    self.chunk = chunk
    sharedByteCount += bytes.count
    return WebSocketPayload(
      chunk: chunk, offset: UInt32(truncatingIfNeeded: start - UnsafeRawPointer(base)),
      length: UInt32(truncatingIfNeeded: bytes.count))
  }
}

/// Memory in which one message grows, and which then becomes a payload without being copied.
///
/// Growth doubles, so that each byte is copied once on average, and `realloc` moves the pages of a large message instead of
/// copying them.
struct MessageBuffer: ~Copyable {
  private var base: UnsafeMutableRawPointer?
  private var capacity = 0
  private(set) var count = 0
  /// Whether the memory is somebody else's.
  private(set) var isBorrowed = false

  /// Below it growth would only be a series of tiny reallocations.
  private static let minimumCapacity = 256

  /// What is kept for the next message when one that was lent out is over.
  static let keptCapacity = 4096

  init() {}

  /// Makes storage for a message that begins in memory of somebody else, and moves elsewhere if it does not fit there.
  init(borrowing memory: UnsafeMutableRawBufferPointer) {
    base = memory.baseAddress
    capacity = memory.count
    isBorrowed = true
  }

  deinit {
    if !isBorrowed { free(base) }
  }

  /// The bytes stored so far; valid until the next change.
  var bytes: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(start: base, count: count) }

  /// The memory behind the stored bytes, as much as there is.
  var room: UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: base.map { $0 + count }, count: capacity - count)
  }

  /// Returns uninitialised memory behind the stored bytes, at least `minimum` bytes of it; `commit` makes them stored.
  ///
  /// When more has to be reserved, it is `preferred` bytes in all or twice what is stored; but not more than `bound`, which
  /// is how many bytes may still come.
  mutating func reserve(
    _ minimum: Int, preferring preferred: Int = Self.minimumCapacity, atMost bound: Int
  ) -> UnsafeMutableRawBufferPointer {
    let needed = count + minimum
    if needed > capacity {
      capacity = max(needed, min(max(2 * count, preferred), count + bound))
      if isBorrowed {
        moveOut()
      } else {
        base = reallocateMemory(base, capacity)
      }
    }
    return room
  }

  /// Moves the bytes to memory of the storage's own.
  private mutating func moveOut() {
    let memory = allocateMemory(capacity)
    if let base { memory.copyMemory(from: base, byteCount: count) }
    base = memory
    isBorrowed = false
  }

  mutating func commit(_ byteCount: Int) {
    count += byteCount
    assert(count <= capacity)
  }

  /// Hands the memory over as a payload, and is empty afterwards.
  mutating func takePayload() -> WebSocketPayload {
    if isBorrowed {
      capacity = count
      moveOut()
    }
    // What was reserved too much would live as long as the payload.
    if capacity - count > count / 8 { base = reallocateMemory(base, count) }
    guard let memory = base else { return WebSocketPayload() }
    let payload = WebSocketPayload(
      chunk: PayloadChunk(adopting: memory), offset: 0, length: UInt32(truncatingIfNeeded: count))
    base = nil
    capacity = 0
    count = 0
    return payload
  }

  /// Forgets the stored bytes, and frees the memory unless it is little.
  mutating func removeAll(keepingCapacityUpTo bound: Int = Self.keptCapacity) {
    assert(!isBorrowed)
    count = 0
    guard capacity > bound else { return }
    free(base)
    base = nil
    capacity = 0
  }
}

func allocateMemory(_ byteCount: Int) -> UnsafeMutableRawPointer {
  guard let memory = malloc(max(1, byteCount)) else { stopForLackOfMemory("no \(byteCount) bytes are free") }
  return memory
}

func reallocateMemory(_ memory: UnsafeMutableRawPointer?, _ byteCount: Int) -> UnsafeMutableRawPointer {
  let moved = realloc(memory, max(1, byteCount))
  guard let moved else { stopForLackOfMemory("no \(byteCount) bytes are free") }
  return moved
}

/// There is no going on without memory that is bounded: every size was checked before.
func stopForLackOfMemory(_ what: String) -> Never {
  fatalError("Out of memory: \(what).")
}
