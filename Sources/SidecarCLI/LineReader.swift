internal import Glibc
internal import SidecarExecutor

/// Reads lines of any length from a stream. Blocks, so it needs its own thread.
struct LineReader: ~Copyable {
  private let stream: Terminal
  private var buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 * 1024, alignment: 16)
  /// The part of the buffer that was read but not handed out.
  private var unread = 0..<0

  init(_ stream: Terminal) {
    self.stream = stream
  }

  deinit {
    buffer.deallocate()
  }

  /// Calls `body` with each line, without its newline. The last line need not end with one.
  ///
  /// Returns at the end of the stream, or when `body` returns false. The bytes are valid only during the call.
  mutating func forEachLine(_ body: (UnsafeRawBufferPointer) -> Bool) throws(SystemError) {
    var searched = 0
    while true {
      while let end = newline(from: unread.lowerBound + searched) {
        let line = UnsafeRawBufferPointer(rebasing: buffer[unread.lowerBound..<end])
        unread = end + 1..<unread.upperBound
        searched = 0
        guard body(line) else { return }
      }
      searched = unread.count
      makeRoom()
      let free = UnsafeMutableRawBufferPointer(rebasing: buffer[unread.upperBound...])
      let count = try stream.read(into: free)
      if count == 0 {
        if !unread.isEmpty { _ = body(UnsafeRawBufferPointer(rebasing: buffer[unread])) }
        return
      }
      unread = unread.lowerBound..<unread.upperBound + count
    }
  }

  private func newline(from start: Int) -> Int? {
    guard let base = buffer.baseAddress, start < unread.upperBound,
      let found = memchr(base + start, Int32(UInt8(ascii: "\n")), unread.upperBound - start)
    else { return nil }
    return UnsafeRawPointer(found) - UnsafeRawPointer(base)
  }

  /// Moves the incomplete line to the front of the buffer, and doubles the buffer if the line fills it.
  private mutating func makeRoom() {
    let begun = UnsafeRawBufferPointer(rebasing: buffer[unread])
    if begun.count == buffer.count {
      let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: buffer.count * 2, alignment: 16)
      larger.copyMemory(from: begun)
      buffer.deallocate()
      buffer = larger
    } else if unread.lowerBound > 0 {
      // copyMemory allows overlapping ranges.
      buffer.copyMemory(from: begun)
    }
    unread = 0..<begun.count
  }
}
