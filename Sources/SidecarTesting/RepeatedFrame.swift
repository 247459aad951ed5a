extension TestServer {
  /// One frame over and over, as bytes that can be written many frames at a time.
  struct RepeatedFrame: Sendable {
    // Large enough that a system call costs little a frame, small enough to stay in the cache.
    private static let chunkSize = 128 * 1024

    private let chunk: [UInt8]
    private let frameSize: Int
    /// How many bytes are still to be written; nil without an end.
    private var remaining: Int?
    /// Where in the chunk the next byte is.
    private var position = 0

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

    /// Calls `body` with the next bytes, and steps over as many as it returns.
    mutating func withNextBytes(_ body: (UnsafeRawBufferPointer) -> Int) {
      let count = min(chunk.count - position, remaining ?? .max)
      let written = chunk.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[position..<(position + count)])) }
      position = (position + written) % chunk.count
      remaining = remaining.map { $0 - written }
    }

    /// Takes the rest of a frame that has been written in part; without it, nothing else can be sent.
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
