internal import CZlib

/// Decompresses messages (RFC 7692 §7.2.2), piece by piece and never beyond a limit.
///
/// Costs no memory before the first compressed message; then about 7 KiB and the sender's window, which is 39 KiB with the
/// largest one. Without context takeover the memory is given back after each message.
struct Inflater: ~Copyable {
  private let windowBits: Int
  private let keepsContext: Bool
  private var stream: UnsafeMutablePointer<z_stream>?

  /// Whether the message has no bytes so far.
  private var isEmpty = true

  /// Whether the compressed data has ended by a block that says it is the last, and nothing came after it.
  private var isAtFinalBlock = false

  /// What one step makes room for at least, and at most before it is known how well the message was compressed.
  private static let roomRange = 512...(16 * 1024)

  /// Makes a decompressor for what the peer of the endpoint of this role sends.
  init(_ agreement: PermessageDeflate.Agreement, role: Role) {
    let sender: Role = role == .client ? .server : .client
    // Senders that agree on 2^8 often use 2^9, because zlib has no smaller one; a larger window reads both. zlib refuses
    // what reaches back farther than the window only as far as the output does not still have it: the parameter bounds
    // this endpoint's memory, it is not a rule that is enforced.
    windowBits = max(9, agreement.windowBits(sender: sender))
    keepsContext = !agreement.noContextTakeover(sender: sender)
  }

  deinit {
    Self.free(stream)
  }

  /// Takes a piece of a message's compressed bytes and appends what it comes to to `storage`, which is left with one byte
  /// more than `limit` if it comes to more.
  mutating func inflate(
    _ input: UnsafeRawBufferPointer, into storage: inout MessageStorage, limit: Int
  ) throws(ProtocolViolation) {
    guard let source = input.baseAddress, !input.isEmpty else { return }
    isEmpty = false
    let stream = stream ?? makeStream()
    stream.pointee.next_in = UnsafeMutablePointer(mutating: source.assumingMemoryBound(to: UInt8.self))
    // A frame's payload is counted in 32 bits by the limits, and so is a piece of it.
    stream.pointee.avail_in = UInt32(truncatingIfNeeded: input.count)
    var room = min(max(input.count * 3, Self.roomRange.lowerBound), Self.roomRange.upperBound)
    repeat {
      try step(stream, room: room, into: &storage, limit: limit)
      room = Self.roomRange.upperBound
      // With room left over, zlib has nothing more to say about its input.
    } while storage.count <= limit && (stream.pointee.avail_in > 0 || stream.pointee.avail_out == 0)
  }

  private mutating func step(
    _ stream: UnsafeMutablePointer<z_stream>, room: Int, into storage: inout MessageStorage, limit: Int
  ) throws(ProtocolViolation) {
    // One byte more than allowed is enough to know that there is more.
    let allowance = limit + 1 - storage.count
    let target = storage.reserve(min(room, allowance), atMost: allowance).prefix(allowance)
    let output = UnsafeMutableRawBufferPointer(rebasing: target)
    stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
    stream.pointee.avail_out = UInt32(truncatingIfNeeded: output.count)
    if isAtFinalBlock, stream.pointee.avail_in > 0 {
      // §7.2.3.5: behind a final block other blocks may follow, which may refer to what was before them.
      inflateResetKeep(stream)
      isAtFinalBlock = false
    }
    let result = CZlib.inflate(stream, Z_SYNC_FLUSH)
    storage.commit(output.count - Int(stream.pointee.avail_out))
    switch result {
    case Z_STREAM_END:
      isAtFinalBlock = true
    case Z_OK, Z_BUF_ERROR:
      break
    default:
      guard result != Z_MEM_ERROR else { stopForLackOfMemory("zlib could not allocate its window") }
      var detail = "\(result)"
      if let message = stream.pointee.msg { detail = String(cString: message) }
      throw ProtocolViolation(.corruptCompressedData(detail))
    }
  }

  /// Ends a message: puts back what the sender left out, and checks that the data ends there.
  mutating func finish(into storage: inout MessageStorage, limit: Int) throws(ProtocolViolation) {
    // An empty message is one byte (§7.2.3.6), but no byte at all can mean nothing else.
    if isEmpty { return }
    if !isAtFinalBlock {
      // §7.2.2: the sender removed these four bytes, the end of an empty block.
      let tail: (UInt8, UInt8, UInt8, UInt8) = (0x00, 0x00, 0xFF, 0xFF)
      try withUnsafeBytes(of: tail) { tail throws(ProtocolViolation) in
        try inflate(tail, into: &storage, limit: limit)
      }
      // zlib.h, `inflate`: 128 for the end of a block, and the number of bits not used yet.
      if storage.count <= limit, let stream, stream.pointee.data_type & 0b1011_1111 != 128 {
        throw ProtocolViolation(.corruptCompressedData("it ends inside a block"))
      }
    }
    isEmpty = true
    if !keepsContext { release() }
  }

  /// Gives the memory back, and begins with an empty window if there is another message.
  mutating func release() {
    Self.free(stream)
    stream = nil
    isAtFinalBlock = false
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
