/// How the end of a response's body is found (RFC 9112 §6.3).
enum HTTPBodyFraming: Hashable, Sendable {
  case length(UInt64)
  case chunked
  case untilEndOfStream
  /// The header contradicts itself: there is no telling which bytes are the body.
  case invalid

  /// Reads the framing from a final response's header.
  init(status: Int, version: String, headers: HeaderFields) {
    // §6.3, item 1.
    if status == 204 || status == 304 {
      self = .length(0)
      return
    }
    let codings = headers.list("Transfer-Encoding")
    if let last = codings.last {
      // §6.1: a response of HTTP/1.0 with Transfer-Encoding is faulty. §6.3, item 3: Transfer-Encoding overrides
      // Content-Length. Item 4: without a final "chunked" the body ends with the stream.
      let isChunked = last.equalsIgnoringCase("chunked") && !version.hasSameBytes(as: "HTTP/1.0")
      self = isChunked ? .chunked : .untilEndOfStream
      return
    }
    let lengths = headers.list("Content-Length")
    // §6.3, item 8.
    guard let first = lengths.first else {
      self = headers.first("Content-Length") == nil ? .untilEndOfStream : .invalid
      return
    }
    // Item 5: a list is valid if it repeats one number.
    guard let length = Self.decimal(first), lengths.allSatisfy({ Self.decimal($0) == length }) else {
      self = .invalid
      return
    }
    self = .length(length)
  }

  /// Reads a number of any size; what is beyond 64 bits is taken for the largest number there is.
  private static func decimal(_ text: String) -> UInt64? {
    text.withUTF8Bytes { digits in
      guard !digits.isEmpty, digits.allSatisfy((UInt8(ascii: "0")...UInt8(ascii: "9")).contains) else { return nil }
      return digits.reduce(0) { length, digit in
        let (product, overflows) = length.multipliedReportingOverflow(by: 10)
        let (sum, carries) = product.addingReportingOverflow(UInt64(digit - UInt8(ascii: "0")))
        return overflows || carries ? .max : sum
      }
    }
  }
}

/// Reads the body of a refusal, however the bytes are cut, up to a bound (RFC 9112 §6, §7).
///
/// Chunks are joined. Other transfer codings are not undone, and content codings never are.
struct HTTPBodyParser: Sendable {
  /// The most bytes of a body that are kept.
  static let capacity = 16 * 1024

  /// The most bytes of chunk sizes, extensions and trailers that are read: a peer could send them for ever.
  static let chunkFramingLimit = 128 * 1024

  enum Result: Hashable, Sendable {
    case needsMore
    case complete
    /// A limit is exceeded, or the framing is malformed.
    case givenUp
  }

  private enum State {
    /// Data of known length: the body, or a chunk.
    case data(remaining: UInt64, isChunk: Bool)
    case untilEndOfStream
    case chunkFraming(ChunkFraming)
    case over(Result)
  }

  /// Where the parser is between the data of two chunks (RFC 9112 §7.1).
  private enum ChunkFraming {
    case size(UInt64, digits: Int)
    case chunkExtension(size: UInt64)
    case lineFeedAfterSize(UInt64)
    case carriageReturnAfterData
    case lineFeedAfterData
    case trailerStart
    case trailerLine
    case lineFeedAfterTrailer
    case lastLineFeed
  }

  private(set) var body: [UInt8] = []
  private var state: State
  private var chunkFramingCount = 0

  init(_ framing: HTTPBodyFraming) {
    state =
      switch framing {
      case .length(0): .over(.complete)
      case .length(let length): .data(remaining: length, isChunk: false)
      case .chunked: .chunkFraming(.size(0, digits: 0))
      case .untilEndOfStream: .untilEndOfStream
      case .invalid: .over(.givenUp)
      }
  }

  /// True if the end of the stream is the end of the body.
  var endsWithStream: Bool {
    if case .untilEndOfStream = state { true } else { false }
  }

  /// Takes the next bytes, up to the end of the body.
  mutating func receive(_ bytes: UnsafeRawBufferPointer) -> Result {
    var start = 0
    while start < bytes.count {
      guard let count = take(UnsafeRawBufferPointer(rebasing: bytes[start...])) else { break }
      start += count
    }
    if case .over(let result) = state { return result }
    return .needsMore
  }

  /// Takes at least one byte and returns how many, or nil if the body is over.
  private mutating func take(_ bytes: UnsafeRawBufferPointer) -> Int? {
    switch state {
    case .data(let remaining, let isChunk):
      let count = keep(bytes, atMost: remaining)
      let rest = remaining - UInt64(count)
      if case .over = state { return count }
      if rest > 0 {
        state = .data(remaining: rest, isChunk: isChunk)
      } else {
        state = isChunk ? .chunkFraming(.carriageReturnAfterData) : .over(.complete)
      }
      return count
    case .untilEndOfStream:
      return keep(bytes, atMost: .max)
    case .chunkFraming(let framing):
      chunkFramingCount += 1
      state = chunkFramingCount > Self.chunkFramingLimit ? .over(.givenUp) : Self.state(after: bytes[0], in: framing)
      return 1
    case .over:
      return nil
    }
  }

  /// Keeps data. One byte more than there is room for tells that the body is too large.
  private mutating func keep(_ bytes: UnsafeRawBufferPointer, atMost limit: UInt64) -> Int {
    let room = Self.capacity - body.count
    let count = min(bytes.count, Int(exactly: limit) ?? .max, room + 1)
    body.append(contentsOf: bytes[..<min(count, room)])
    if count > room { state = .over(.givenUp) }
    return count
  }

  private static func state(after byte: UInt8, in framing: ChunkFraming) -> State {
    let isCR = byte == UInt8(ascii: "\r")
    let isLF = byte == UInt8(ascii: "\n")
    let malformed = State.over(.givenUp)
    switch framing {
    case .size(let size, let digits):
      if let digit = hexadecimal(byte) {
        // 16 digits fill 64 bits.
        return digits < 16 ? .chunkFraming(.size(size << 4 | digit, digits: digits + 1)) : malformed
      }
      if digits == 0 { return malformed }
      if isCR { return .chunkFraming(.lineFeedAfterSize(size)) }
      // §7.1.1: extensions that are not understood are ignored. Some servers pad the size with spaces.
      let beginsExtension = byte == UInt8(ascii: ";") || byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t")
      return beginsExtension ? .chunkFraming(.chunkExtension(size: size)) : malformed
    case .chunkExtension(let size):
      if isCR { return .chunkFraming(.lineFeedAfterSize(size)) }
      return isLF ? malformed : .chunkFraming(framing)
    case .lineFeedAfterSize(let size):
      guard isLF else { return malformed }
      return size == 0 ? .chunkFraming(.trailerStart) : .data(remaining: size, isChunk: true)
    case .carriageReturnAfterData:
      return isCR ? .chunkFraming(.lineFeedAfterData) : malformed
    case .lineFeedAfterData:
      return isLF ? .chunkFraming(.size(0, digits: 0)) : malformed
    // §7.1.2: trailers may be discarded.
    case .trailerStart where isCR:
      return .chunkFraming(.lastLineFeed)
    case .trailerStart, .trailerLine:
      if isCR { return .chunkFraming(.lineFeedAfterTrailer) }
      return isLF ? malformed : .chunkFraming(.trailerLine)
    case .lineFeedAfterTrailer:
      return isLF ? .chunkFraming(.trailerStart) : malformed
    case .lastLineFeed:
      return isLF ? .over(.complete) : malformed
    }
  }

  private static func hexadecimal(_ byte: UInt8) -> UInt64? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(byte - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "A")...UInt8(ascii: "F"):
      UInt64(byte.asciiLowercased - UInt8(ascii: "a")) + 10
    default: nil
    }
  }
}
