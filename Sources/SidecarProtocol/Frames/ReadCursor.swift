/// A position in the bytes of one read.
@usableFromInline
package struct ReadCursor {
  @usableFromInline var position: UnsafeMutableRawPointer
  @usableFromInline let end: UnsafeMutableRawPointer

  /// Starts at the first of `bytes`; nil if there is none.
  @inlinable
  package init?(_ bytes: UnsafeMutableRawBufferPointer) {
    guard let start = bytes.baseAddress, bytes.count > 0 else { return nil }
    position = start
    end = start + bytes.count
  }

  /// The number of bytes that have not been consumed.
  @inlinable package var count: Int { end - position }

  @inlinable package var isAtEnd: Bool { position == end }

  /// The bytes that have not been consumed.
  package var remaining: UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: position, count: count)
  }

  var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: position, count: count) }

  /// Consumes up to `limit` bytes and returns them.
  mutating func take(upTo limit: Int) -> UnsafeMutableRawBufferPointer {
    let taken = UnsafeMutableRawBufferPointer(start: position, count: min(limit, count))
    position += taken.count
    return taken
  }

  /// Consumes `count` bytes.
  mutating func skip(_ count: Int) {
    position += count
  }

  /// Consumes everything.
  mutating func skipAll() {
    position = end
  }
}
