/// What a head has at most. Real ones stay far below.
struct HTTPHeadLimits: Sendable, Hashable {
  /// The longest line in bytes: 8 KiB, which is what common servers take.
  var line = 8 * 1024

  /// The most header lines.
  var headers = 100

  /// The most bytes of all the lines, interim responses included.
  var total = 64 * 1024
}

/// The first line of a message: of a request or of a response.
protocol HTTPStartLine: Sendable {
  /// What is done with a line that continues the one before it: a user agent replaces the fold by spaces, a server rejects
  /// the message (RFC 9112 §5.2).
  static var allowsFolding: Bool { get }

  init(_ line: String) throws(HandshakeViolation)
}

/// Reads the first line and the header fields of an HTTP/1.1 message, however the bytes are cut (RFC 9112 §2).
///
/// Each byte is looked at once, so that the cost is linear however a peer dribbles. Lines end with CR LF: a bare LF, which
/// a recipient may accept, is refused, as are a stray CR and NUL (§2.2), for what one party reads differently from
/// another is what attacks are made of.
struct HTTPHeadParser<StartLine: HTTPStartLine>: Sendable {
  struct Head {
    let startLine: StartLine
    let headers: HeaderFields
  }

  private let limits: HTTPHeadLimits
  private var line: [UInt8] = []
  private var total = 0
  private var headerLines = 0
  private var startLine: StartLine?
  private var fields: [HeaderFields.Field] = []

  init(limits: HTTPHeadLimits = HTTPHeadLimits()) {
    self.limits = limits
  }

  /// Takes bytes up to the blank line that ends the head, and not beyond. Returns the head once it is complete, and is
  /// ready for another one then.
  mutating func receive(
    _ bytes: UnsafeRawBufferPointer
  ) throws(HandshakeViolation) -> (consumed: Int, head: Head?) {
    var start = 0
    while start < bytes.count {
      let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n"))
      let piece = bytes[start..<(end ?? bytes.count)]
      let count = piece.count + (end == nil ? 0 : 1)
      start += count
      // Whichever limit comes first is named, so that the verdict does not depend on how the bytes are cut.
      let roomInLine = limits.line - line.count
      let roomInHead = limits.total - total
      if count > roomInHead, roomInHead <= roomInLine { throw .headTooLarge(limit: limits.total) }
      if piece.count > roomInLine { throw .lineTooLong(limit: limits.line) }
      total += count
      line.append(contentsOf: piece)
      guard end != nil else { break }
      if let head = try takeLine() { return (start, head) }
    }
    return (start, nil)
  }

  private mutating func takeLine() throws(HandshakeViolation) -> Head? {
    defer { line.removeAll(keepingCapacity: true) }
    if line.contains(0) { throw .nulByte }
    guard line.last == UInt8(ascii: "\r") else { throw .lineEndsWithoutCarriageReturn }
    line.removeLast()
    if line.contains(UInt8(ascii: "\r")) { throw .strayCarriageReturn }
    guard let startLine else {
      // Judged at once: a peer that speaks another protocol may never send a second line.
      startLine = try StartLine(String(decoding: line, as: UTF8.self))
      return nil
    }
    guard let first = line.first else {
      defer {
        self.startLine = nil
        fields = []
        headerLines = 0
      }
      return Head(startLine: startLine, headers: HeaderFields(fields))
    }
    // Folded lines count: each one copies the value it continues.
    if headerLines == limits.headers { throw .tooManyHeaders(limit: limits.headers) }
    headerLines += 1
    if first == UInt8(ascii: " ") || first == UInt8(ascii: "\t") {
      try unfold()
    } else {
      try appendField()
    }
    return nil
  }

  private mutating func appendField() throws(HandshakeViolation) {
    // RFC 9112 §5.1: no white space between the name and the colon; a name with a space is no token.
    guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > 0,
      line[..<colon].allSatisfy(\.isHTTPTokenByte), line[(colon + 1)...].allSatisfy(\.isHTTPFieldValueByte)
    else { throw .malformedHeaderLine(String(decoding: line, as: UTF8.self)) }
    let value = String(decoding: line[(colon + 1)...], as: UTF8.self).trimmingHTTPWhitespace
    fields.append(HeaderFields.Field(String(decoding: line[..<colon], as: UTF8.self), value))
  }

  private mutating func unfold() throws(HandshakeViolation) {
    // RFC 9112 §2.2: white space between the start line and the first field is rejected.
    guard StartLine.allowsFolding, let last = fields.popLast() else { throw .foldedHeaderLine }
    guard line.allSatisfy(\.isHTTPFieldValueByte) else {
      throw .malformedHeaderLine(String(decoding: line, as: UTF8.self))
    }
    let rest = String(decoding: line, as: UTF8.self).trimmingHTTPWhitespace
    fields.append(HeaderFields.Field(last.name, "\(last.value) \(rest)".trimmingHTTPWhitespace))
  }
}
