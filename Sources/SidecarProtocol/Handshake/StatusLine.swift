/// The first line of a response (RFC 9112 §4).
struct StatusLine: HTTPStartLine {
  static let allowsFolding = true

  // Any HTTP/1 version is read, so that a refusal from an HTTP/1.0 server is one.
  static let prefix: StaticString = "HTTP/1."

  let version: String
  let code: Int
  let reason: String

  init(_ line: UnsafeRawBufferPointer) throws(HandshakeViolation) {
    let space = UInt8(ascii: " ")
    let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
    let (version, rest) = line.cut(at: space) ?? (line, nothing)
    // Many servers leave out the space before an empty reason.
    let (digits, reason) = rest.cut(at: space) ?? (rest, nothing)
    guard let code = Self.code(digits) else {
      throw .malformedStartLine(String(decoding: line, as: UTF8.self))
    }
    self.version = String(decoding: version, as: UTF8.self)
    self.code = code
    self.reason = String(decoding: reason, as: UTF8.self)
  }

  /// Reads three digits (RFC 9112 §4). No code below 100 exists (RFC 9110 §15).
  private static func code(_ digits: UnsafeRawBufferPointer) -> Int? {
    guard digits.count == 3, digits.allSatisfy((UInt8(ascii: "0")...UInt8(ascii: "9")).contains) else { return nil }
    let code = digits.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
    return code >= 100 ? code : nil
  }
}
