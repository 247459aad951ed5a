internal import CSidecarZlib

/// Decompresses messages (RFC 7692 §7.2.2), piece by piece and never beyond a limit.
///
/// Costs no memory before the first compressed message; then about 7 KiB and the sender's window, which is 39 KiB with
/// the largest one. Without context takeover that memory is of no use between two messages: see
/// ``releaseSpareMemory()``.
struct Inflater: ~Copyable {
  private let windowBits: Int
  private let keepsContext: Bool
  private var stream: UnsafeMutablePointer<z_stream>?

  /// Whether the message has no bytes so far.
  private var isEmpty = true

  /// True after the end of a block that says it is the last.
  private var isAfterFinalBlock = false

  /// Whether that was where the sender's data ended too.
  private var endsWithFinalBlock = false

  /// Whether the tail has been put back.
  private var hasTail = false

  /// Whether the next message begins with an empty window.
  private var mustReset = false

  /// RFC 7692 §7.2.2: what the sender removed from the end of each message, the end of an empty block.
  private static let tail = UInt32(bigEndian: 0x0000_FFFF)

  /// How many bytes of it there are.
  static let tailSize = 4

  /// What one step makes room for at least, and at most before it is known how well the message was compressed.
  private static let roomRange = 512...(16 * 1024)

  /// zlib's longest match: with less room than this it checks for room at each byte, at a third of its speed.
  static let fastPathMargin = 258

  /// Makes a decompressor for what the peer of the endpoint of this role sends.
  init(_ agreement: PermessageDeflate.Agreement, role: Role) {
    let sender: Role = role == .client ? .server : .client
    // Senders that agree on 2^8 often use 2^9, because zlib has no smaller one; a larger window reads both. zlib
    // refuses data that refers back beyond the window only if the output does not still hold it: the parameter bounds
    // this endpoint's memory, and is not enforced as a rule.
    windowBits = max(9, agreement.windowBits(sender: sender))
    keepsContext = !agreement.noContextTakeover(sender: sender)
  }

  deinit {
    Self.free(stream)
  }

  /// Decompresses a piece of a message, and appends the result to `storage`.
  ///
  /// - Parameter limit: The largest size of the message. If the result is larger, `storage` ends with one byte more.
  mutating func inflate(
    _ input: UnsafeRawBufferPointer, into storage: inout MessageBuffer, limit: Int
  ) throws(ProtocolViolation) {
    guard !input.isEmpty else { return }
    isEmpty = false
    try inflate(input, tailSize: 0, into: &storage, limit: limit)
  }

  /// Decompresses the last piece of a message, and the tail with it. ``tailSize`` bytes after the piece are written to,
  /// and restored.
  mutating func inflateLast(
    _ input: UnsafeRawBufferPointer, into storage: inout MessageBuffer, limit: Int
  ) throws(ProtocolViolation) {
    guard let start = input.baseAddress, !input.isEmpty else { return }
    isEmpty = false
    hasTail = true
    let all = UnsafeRawBufferPointer(start: start, count: input.count + Self.tailSize)
    try input.followed(by: Self.tail) { () throws(ProtocolViolation) in
      try inflate(all, tailSize: Self.tailSize, into: &storage, limit: limit)
    }
  }

  /// Ends a message: puts back what the sender left out, and checks that the data ends there.
  mutating func finish(into storage: inout MessageBuffer, limit: Int) throws(ProtocolViolation) {
    // An empty message is one byte (§7.2.3.6), but no byte at all can mean nothing else.
    if isEmpty { return }
    if !hasTail, !endsWithFinalBlock {
      try withUnsafeBytes(of: Self.tail) { tail throws(ProtocolViolation) in
        try inflate(tail, tailSize: Self.tailSize, into: &storage, limit: limit)
      }
    }
    if !endsWithFinalBlock, storage.count <= limit, let stream, !Self.isBetweenBlocks(stream) {
      throw ProtocolViolation(.corruptCompressedData("it ends inside a block"))
    }
    isEmpty = true
    hasTail = false
    mustReset = !keepsContext
  }

  /// Whether there is memory that the next message needs no more than the first did.
  var hasSpareMemory: Bool { mustReset && stream != nil }

  /// Frees that memory. Worth it when no message is on its way: allocating it again costs half of a short message.
  mutating func releaseSpareMemory() {
    if hasSpareMemory { release() }
  }

  /// Gives all memory back, and begins with an empty window if there is another message.
  mutating func release() {
    Self.free(stream)
    stream = nil
    mustReset = false
    isAfterFinalBlock = false
  }

  /// Takes `input`, whose last `tailSize` bytes are the tail.
  private mutating func inflate(
    _ input: UnsafeRawBufferPointer, tailSize: Int, into storage: inout MessageBuffer, limit: Int
  ) throws(ProtocolViolation) {
    let stream = preparedStream()
    stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
    // A frame's payload is counted in 32 bits by the limits, and so is a piece of it.
    stream.pointee.avail_in = UInt32(truncatingIfNeeded: input.count)
    // Rather too much: see `fastPathMargin`.
    var room = min(input.count * 4 + Self.roomRange.lowerBound, Self.roomRange.upperBound)
    if storage.isBorrowed, !storage.room.isEmpty { room = storage.room.count }
    repeat {
      try step(stream, room: room, into: &storage, limit: limit)
      room = Self.roomRange.upperBound
    } while storage.count <= limit && !isThrough(stream, tailSize: tailSize)
    endsWithFinalBlock = isAfterFinalBlock && stream.pointee.avail_in == tailSize
  }

  private func isThrough(_ stream: UnsafeMutablePointer<z_stream>, tailSize: Int) -> Bool {
    // A final block that ends with the data needs no tail; one that ends inside of it was cut.
    if isAfterFinalBlock, stream.pointee.avail_in <= tailSize { return true }
    // With room left over, or between two blocks, zlib has consumed its input. Another call would make it forget that
    // it is between two blocks.
    return stream.pointee.avail_in == 0 && (stream.pointee.avail_out > 0 || Self.isBetweenBlocks(stream))
  }

  /// zlib.h, `inflate`: 128 for the end of a block, and the number of bits not used yet.
  private static func isBetweenBlocks(_ stream: UnsafeMutablePointer<z_stream>) -> Bool {
    stream.pointee.data_type & 0b1011_1111 == 128
  }

  private mutating func step(
    _ stream: UnsafeMutablePointer<z_stream>, room: Int, into storage: inout MessageBuffer, limit: Int
  ) throws(ProtocolViolation) {
    // One byte more than allowed is enough to know that there is more.
    let allowance = limit + 1 - storage.count
    let target = storage.reserve(min(room, allowance), atMost: allowance).prefix(allowance)
    let output = UnsafeMutableRawBufferPointer(rebasing: target)
    stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
    stream.pointee.avail_out = UInt32(truncatingIfNeeded: output.count)
    if isAfterFinalBlock {
      // §7.2.3.4: after a final block other blocks may follow, which may refer to what was before them.
      inflateResetKeep(stream)
      isAfterFinalBlock = false
    }
    let result = CSidecarZlib.inflate(stream, Z_SYNC_FLUSH)
    storage.commit(output.count - Int(stream.pointee.avail_out))
    switch result {
    case Z_STREAM_END:
      isAfterFinalBlock = true
    case Z_OK, Z_BUF_ERROR:
      break
    default:
      guard result != Z_MEM_ERROR else { stopForLackOfMemory("zlib could not allocate its window") }
      var detail = "\(result)"
      if let message = stream.pointee.msg { detail = String(cString: message) }
      throw ProtocolViolation(.corruptCompressedData(detail))
    }
  }

  private mutating func preparedStream() -> UnsafeMutablePointer<z_stream> {
    guard let stream else { return makeStream() }
    if mustReset {
      inflateReset(stream)
      mustReset = false
      isAfterFinalBlock = false
    }
    return stream
  }

  private mutating func makeStream() -> UnsafeMutablePointer<z_stream> {
    let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    stream.initialize(to: z_stream())
    let result = inflateInit2_(stream, -Int32(windowBits), ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    guard result == Z_OK else { stopForLackOfMemory("zlib could not be set up (\(result))") }
    self.stream = stream
    return stream
  }

  private static func free(_ stream: UnsafeMutablePointer<z_stream>?) {
    guard let stream else { return }
    inflateEnd(stream)
    stream.deallocate()
  }
}

extension UnsafeRawBufferPointer {
  /// Calls `body` while `bytes` follow these in memory that can be written to; the memory is restored afterwards.
  ///
  /// zlib then takes both in one call. A second call for the four bytes of the tail costs as much as a short message: 4
  /// % of the published rate of compressed messages of 1 KiB.
  fileprivate func followed<Bytes: BitwiseCopyable, Result, Failure>(
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
