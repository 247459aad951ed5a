/// The payload of a Close frame: empty, or a code and a reason (RFC 6455 §5.5.1).
///
/// Every value is valid on the wire.
@usableFromInline
package struct ClosePayload: Hashable, Sendable {
  /// Why a code and reason cannot be sent.
  package enum EncodingError: Error, Hashable, Sendable, CustomStringConvertible {
    case codeNotSendable(CloseCode)
    case reasonWithoutCode
    case reasonTooLong(byteCount: Int)

    package var description: String {
      switch self {
      case .codeNotSendable(let code): "a Close frame cannot carry the code \(code) (RFC 6455 §7.4)"
      case .reasonWithoutCode: "a Close frame with a reason needs a code (RFC 6455 §5.5.1)"
      case .reasonTooLong(let byteCount):
        "the reason of a Close frame has at most \(ClosePayload.maximumReasonSize) bytes, not \(byteCount) "
          + "(RFC 6455 §5.5)"
      }
    }
  }

  /// A control frame's 125 bytes without the two of the code.
  package static let maximumReasonSize = FrameHeader.maximumControlPayload - 2

  /// The code, or `nil` for an empty Close frame.
  package let code: CloseCode?

  /// The reason; empty if there is no code.
  package let reason: String

  /// An empty Close frame's payload.
  package static let empty = ClosePayload(unchecked: nil, reason: "")

  private init(unchecked code: CloseCode?, reason: String) {
    self.code = code
    self.reason = reason
  }

  /// Makes a payload to be sent.
  ///
  /// - Throws: Why it cannot be sent.
  package init(_ code: CloseCode?, reason: String = "") throws(EncodingError) {
    if let code, !code.isSendable { throw .codeNotSendable(code) }
    if code == nil, !reason.isEmpty { throw .reasonWithoutCode }
    let size = reason.utf8.count
    if size > Self.maximumReasonSize { throw .reasonTooLong(byteCount: size) }
    self.init(unchecked: code, reason: reason)
  }

  /// Makes the payload that tells the peer what it violated.
  package init(_ violation: ProtocolViolation) {
    self.init(unchecked: violation.closeCode, reason: Self.shortened(violation.summary))
  }

  /// The same code without the reason.
  package var withoutReason: ClosePayload { ClosePayload(unchecked: code, reason: "") }

  /// Reads the payload of a Close frame from the peer.
  package init(decoding bytes: UnsafeRawBufferPointer) throws(ProtocolViolation) {
    if bytes.isEmpty {
      self = .empty
      return
    }
    // RFC 6455 §5.5.1: if there is a body, its first two bytes are the code.
    guard bytes.count >= 2 else { throw ProtocolViolation(.closePayloadOfOneByte) }
    let number = UInt16(bigEndian: bytes.loadUnaligned(as: UInt16.self))
    // §7.4.1, §7.4.2: 1005, 1006 and 1015 are never sent, and what is not defined is not either.
    guard let code = CloseCode(rawValue: number), code.isSendable else {
      throw ProtocolViolation(.invalidCloseCode(number))
    }
    // §5.5.1: the reason is UTF-8.
    guard let reason = String(validating: UnsafeRawBufferPointer(rebasing: bytes[2...]), as: UTF8.self) else {
      throw ProtocolViolation(.closeReasonNotUTF8)
    }
    self.init(unchecked: code, reason: reason)
  }

  /// Calls `body` with the payload as it is on the wire, at most 125 bytes.
  package func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    guard let code else { return body(UnsafeRawBufferPointer(start: nil, count: 0)) }
    // RFC 6455 §5.5.1: the code is in network byte order.
    let bytes = [UInt8(code.rawValue >> 8), UInt8(code.rawValue & 0xFF)] + Array(reason.utf8)
    return bytes.withUnsafeBytes(body)
  }

  /// The longest prefix of whole characters that a Close frame has room for.
  package static func shortened(_ reason: String) -> String {
    var reason = reason
    while reason.utf8.count > maximumReasonSize { reason.removeLast() }
    return reason
  }
}
