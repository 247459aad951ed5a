/// How large a head may be. Real ones stay far below.
struct HTTPHeadLimits: Sendable, Hashable {
  /// The longest line in bytes: 8 KiB, which is what common servers accept.
  var line = 8 * 1024

  /// The most header lines.
  var headers = 100

  /// The most bytes of all the lines, interim responses included.
  var total = 64 * 1024
}

/// The first line of a message: of a request or of a response.
protocol HTTPStartLine: Sendable {
  /// Whether a line may continue the one before it: a user agent replaces the fold by a space, a server rejects the
  /// message (RFC 9112 §5.2).
  static var allowsFolding: Bool { get }

  /// What every such line begins with. The first other byte ends the parsing: the peer speaks another protocol, and may
  /// never send a line.
  static var prefix: StaticString { get }

  init(_ line: UnsafeRawBufferPointer) throws(HandshakeViolation)
}

/// Reads the first line and the header fields of an HTTP/1.1 message, however the bytes are cut (RFC 9112 §2).
///
/// Each byte is examined once, so the cost is linear however a peer dribbles. Lines end with CR LF. A bare LF, which a
/// recipient may accept, is refused, and so are a stray CR and NUL (§2.2): what two parties read differently makes
/// attacks possible.
struct HTTPHeadParser<StartLine: HTTPStartLine>: Sendable {
  struct Head {
    let startLine: StartLine
    let headers: HeaderFields
  }

  /// How much of a head has been received, for an error that says so.
  var progress: HeadProgress {
    if startLine != nil { return .header(lineCount: headerLines) }
    return line.isEmpty ? .nothing : .firstLine(NonHTTPResponse(line))
  }

  private let limits: HTTPHeadLimits
  /// The beginning of a line that was cut. A line that arrives whole is parsed in place.
  private var line: [UInt8] = []
  private var total = 0
  private var headerLines = 0
  private var startLine: StartLine?
  private var fields: [HeaderFields.Field] = []

  init(limits: HTTPHeadLimits = HTTPHeadLimits()) {
    self.limits = limits
  }

  /// Takes bytes up to the blank line that ends the head, and not beyond. After a complete head it is ready for the
  /// next.
  mutating func receive(
    _ bytes: UnsafeRawBufferPointer
  ) throws(HandshakeViolation) -> (consumed: Int, head: Head?) {
    var start = 0
    while start < bytes.count {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[start...])
      if startLine == nil { try checkPrefix(rest) }
      let end = rest.firstOffset(of: UInt8(ascii: "\n"))
      let piece = UnsafeRawBufferPointer(rebasing: rest[..<(end ?? rest.count)])
      let count = piece.count + (end == nil ? 0 : 1)
      start += count
      // The limit that is reached first is named, so that the error does not depend on how the bytes are cut.
      let roomInLine = limits.line - line.count
      let roomInHead = limits.total - total
      if count > roomInHead, roomInHead <= roomInLine { throw .headTooLarge(limit: limits.total) }
      if piece.count > roomInLine { throw .lineTooLong(limit: limits.line) }
      total += count
      guard end != nil else {
        line.append(contentsOf: piece)
        break
      }
      if let head = try takeEnd(piece) { return (start, head) }
    }
    return (start, nil)
  }

  /// Fails at the first byte that the first line cannot have.
  private func checkPrefix(_ bytes: UnsafeRawBufferPointer) throws(HandshakeViolation) {
    let known = line.count
    let isRight = StartLine.prefix.withUTF8Buffer { prefix in
      // What was received of the line before has been checked.
      known >= prefix.count || zip(prefix[known...], bytes).allSatisfy { $0 == $1 }
    }
    if !isRight { throw .notHTTP(NonHTTPResponse(line + bytes.prefix(NonHTTPResponse.capacity))) }
  }

  /// Takes the end of a line, without its LF: the whole line, unless it was cut.
  private mutating func takeEnd(_ piece: UnsafeRawBufferPointer) throws(HandshakeViolation) -> Head? {
    if line.isEmpty { return try takeLine(piece) }
    let whole = line + piece
    line.removeAll(keepingCapacity: true)
    return try whole.withUnsafeBufferPointer { (whole) throws(HandshakeViolation) in
      try takeLine(UnsafeRawBufferPointer(whole))
    }
  }

  private mutating func takeLine(_ terminated: UnsafeRawBufferPointer) throws(HandshakeViolation) -> Head? {
    if terminated.firstOffset(of: 0) != nil { throw .nulByte }
    guard terminated.last == UInt8(ascii: "\r") else { throw .lineEndsWithoutCarriageReturn }
    let line = UnsafeRawBufferPointer(rebasing: terminated[..<(terminated.count - 1)])
    if line.firstOffset(of: UInt8(ascii: "\r")) != nil { throw .strayCarriageReturn }
    if startLine == nil {
      // At once: a peer that speaks another protocol may never send a second line.
      startLine = try StartLine(line)
      return nil
    }
    guard let first = line.first else { return takeHead() }
    // Folded lines count too: each one copies the value that it continues.
    if headerLines == limits.headers { throw .tooManyHeaders(limit: limits.headers) }
    headerLines += 1
    if first == UInt8(ascii: " ") || first == UInt8(ascii: "\t") {
      try unfold(line)
    } else {
      try appendField(line)
    }
    return nil
  }

  private mutating func takeHead() -> Head? {
    defer {
      startLine = nil
      fields = []
      headerLines = 0
    }
    return startLine.map { Head(startLine: $0, headers: HeaderFields(fields)) }
  }

  private mutating func appendField(_ line: UnsafeRawBufferPointer) throws(HandshakeViolation) {
    // RFC 9112 §5.1: no white space between the name and the colon; a name with a space is no token.
    guard let (name, value) = line.cut(at: UInt8(ascii: ":")), name.isHTTPToken, value.isHTTPFieldValue else {
      throw .malformedHeaderLine(String(decoding: line, as: UTF8.self))
    }
    // Room for most heads: it does not grow line by line.
    if fields.isEmpty { fields.reserveCapacity(8) }
    fields.append(
      HeaderFields.Field(
        String(decoding: name, as: UTF8.self), String(decoding: value.trimmingHTTPWhitespace, as: UTF8.self)))
  }

  private mutating func unfold(_ line: UnsafeRawBufferPointer) throws(HandshakeViolation) {
    // RFC 9112 §2.2: white space between the start line and the first field is rejected.
    guard StartLine.allowsFolding, let last = fields.popLast() else { throw .foldedHeaderLine }
    guard line.isHTTPFieldValue else {
      throw .malformedHeaderLine(String(decoding: line, as: UTF8.self))
    }
    let rest = String(decoding: line.trimmingHTTPWhitespace, as: UTF8.self)
    fields.append(HeaderFields.Field(last.name, "\(last.value) \(rest)".trimmingHTTPWhitespace))
  }
}

/// How much of a head had arrived when the stream ended.
package enum HeadProgress: Hashable, Sendable {
  case nothing
  case firstLine(NonHTTPResponse)
  case header(lineCount: Int)
}
