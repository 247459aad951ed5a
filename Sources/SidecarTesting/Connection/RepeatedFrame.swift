extension TestServer {
  /// Repeats one frame, as bytes that can be written many frames at a time.
  struct RepeatedFrame: Sendable {
    // Large enough that the system call costs little per frame, small enough for the cache.
    private static let chunkSize = 128 * 1024

    private let chunk: [UInt8]
    private let frameSize: Int
    /// The bytes still to be written; nil to repeat without end.
    private var remaining: Int?
    /// The index of the next byte in the chunk.
    private var position = 0

    /// Makes bytes that have not been written.
    ///
    /// - Parameter count: How often the frame is sent; nil to repeat without end.
    init(of frame: RawFrame, count: Int?) {
      let frame = frame.bytes
      let framesPerChunk = max(1, min(Self.chunkSize / frame.count, count ?? .max))
      frameSize = frame.count
      var chunk: [UInt8] = []
      chunk.reserveCapacity(framesPerChunk * frame.count)
      for _ in 0..<framesPerChunk { chunk += frame }
      self.chunk = chunk
      remaining = count.map { max(0, $0) * frame.count }
    }

    var isOver: Bool { remaining == 0 }

    /// Calls `body` with the next bytes, and advances by the number that it returns.
    mutating func withNextBytes(_ body: (UnsafeRawBufferPointer) -> Int) {
      let count = min(chunk.count - position, remaining ?? .max)
      let written = chunk.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[position..<(position + count)])) }
      position = (position + written) % chunk.count
      remaining = remaining.map { $0 - written }
    }

    /// Removes and returns the rest of a frame that is partly written. Another frame can be sent only after it.
    mutating func takeRestOfFrame() -> [UInt8] {
      let written = position % frameSize
      guard written > 0 else { return [] }
      var rest: [UInt8] = []
      let missing = frameSize - written
      withNextBytes { bytes in
        rest = Array(bytes.prefix(missing))
        return missing
      }
      return rest
    }
  }
}
