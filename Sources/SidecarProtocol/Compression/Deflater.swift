internal import CSidecarZlib

/// Compresses messages (RFC 7692 §7.2.1).
///
/// Costs no memory before the first message; then 2^(window bits + 2) + 2^(memory level + 9) bytes and a few KiB, which
/// is 262 KiB with the largest window. Without context takeover the memory is freed after each message, which is the
/// purpose of that parameter. Belongs to the owner of the outgoing bytes.
package struct Deflater: ~Copyable {
  private let windowBits: Int
  private let keepsContext: Bool
  private let level: Int32

  /// zlib keeps a pointer to its stream, which therefore has to stay where it is.
  private var stream: UnsafeMutablePointer<z_stream>?

  /// zlib's own default: half of the most that the hash table and the output's symbols can take.
  private static let memoryLevel: Int32 = 8

  /// zlib's own default, a fair middle between speed and size.
  package static let defaultLevel = 6

  /// What a flush may write besides the data; with less room than this zlib repeats it (zlib.h, `deflate`).
  private static let flushMargin = 16

  /// RFC 7692 §7.2.1: a message ends with an empty block, whose last four bytes are not sent.
  private static let tailSize = 4

  /// Makes a compressor for what the endpoint of this role sends; `level` is zlib's, from 1, fast, to 9, small.
  package init(_ agreement: PermessageDeflate.Agreement, role: Role, level: Int = Self.defaultLevel) {
    precondition((1...9).contains(level), "The compression level is from 1 to 9, not \(level).")
    // zlib has no compressor for a window of 2^8 bytes. Its next larger one never looks back more than 2^9 - 262 = 250
    // bytes, so that what it writes fits into the smaller window as well.
    windowBits = max(9, agreement.windowBits(sender: role))
    keepsContext = !agreement.noContextTakeover(sender: role)
    self.level = Int32(level)
  }

  deinit {
    Self.free(stream)
  }

  /// Appends the compressed form of a whole message to `buffer`: the payload of a frame whose RSV1 is set.
  package mutating func compress(_ payload: UnsafeRawBufferPointer, into buffer: inout ByteBuffer) {
    guard let source = payload.baseAddress, !payload.isEmpty else {
      // §7.2.3.6: an empty message is an empty block's header. zlib does not flush twice with nothing in between.
      withUnsafeBytes(of: UInt8(0)) { buffer.append($0) }
      return
    }
    let stream = stream ?? makeStream()
    // zlib only reads its input, but says so only in a macro.
    stream.pointee.next_in = UnsafeMutablePointer(mutating: source.assumingMemoryBound(to: UInt8.self))
    var remaining = payload.count
    repeat {
      // zlib counts in 32 bits.
      let piece = UInt32(truncatingIfNeeded: min(remaining, Int(UInt32.max) / 2))
      remaining -= Int(piece)
      stream.pointee.avail_in = piece
      deflateAll(stream, flush: remaining == 0 ? Z_SYNC_FLUSH : Z_NO_FLUSH, into: &buffer)
    } while remaining > 0
    buffer.removeLast(Self.tailSize)
    if !keepsContext { releaseStream() }
  }

  /// Consumes the stream's input.
  private func deflateAll(_ stream: UnsafeMutablePointer<z_stream>, flush: Int32, into buffer: inout ByteBuffer) {
    var room = Int(stream.pointee.avail_in) / 2 + Self.flushMargin
    repeat {
      stream.pointee.next_out = buffer.reserve(room).assumingMemoryBound(to: UInt8.self)
      stream.pointee.avail_out = UInt32(truncatingIfNeeded: room)
      let result = deflate(stream, flush)
      // That would be a misuse of zlib. Anything else is no error: there may be nothing left to do.
      precondition(result != Z_STREAM_ERROR)
      buffer.commit(room - Int(stream.pointee.avail_out))
      room = max(room, 4096)
    } while stream.pointee.avail_out == 0
  }

  private mutating func makeStream() -> UnsafeMutablePointer<z_stream> {
    let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    stream.initialize(to: z_stream())
    // A negative number asks for bare DEFLATE, without zlib's header and checksum.
    let result = deflateInit2_(
      stream, level, Z_DEFLATED, -Int32(windowBits), Self.memoryLevel, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
      Int32(MemoryLayout<z_stream>.size))
    guard result == Z_OK else { stopForLackOfMemory("zlib could not be set up (\(result))") }
    self.stream = stream
    return stream
  }

  private mutating func releaseStream() {
    Self.free(stream)
    stream = nil
  }

  private static func free(_ stream: UnsafeMutablePointer<z_stream>?) {
    guard let stream else { return }
    deflateEnd(stream)
    stream.deallocate()
  }
}

// The stream has one owner, this value, which cannot be copied, and zlib has no state outside it.
extension Deflater: @unchecked Sendable {}
