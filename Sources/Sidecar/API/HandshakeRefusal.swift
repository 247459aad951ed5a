package import SidecarProtocol

/// A server's response other than 101: what it said instead of opening a WebSocket connection.
///
/// ```swift
/// do {
///   let sidecar = try await WebSocketSidecar.connect(to: url)
/// } catch .handshakeRefused(let refusal) where refusal.status == 401 {
///   print(refusal.headers.first { $0.name.lowercased() == "www-authenticate" }?.value ?? "")
/// }
/// ```
public struct HandshakeRefusal: Hashable, Sendable, CustomStringConvertible {
  /// The HTTP status code, such as 401.
  public let status: Int
  /// The reason phrase, often empty. As the server wrote it; ``description`` escapes it.
  public let reason: String
  /// The header fields, in the order in which they came.
  public let headers: [HeaderField]
  /// The body, at most its first 16 KiB.
  ///
  /// Read to its end as RFC 9112 §6 frames it: by its length, by chunks, or to the end of the stream, and no longer
  /// than ``WebSocketConfiguration/handshakeTimeout``. Chunks are joined, without their extensions and trailers.
  public let body: [UInt8]
  /// Whether ``body`` is the whole body: false if it is larger, did not arrive in time, was cut short, or is malformed.
  public let isBodyComplete: Bool
  /// Whether ``body`` is free of transfer codings: false if the server applied one other than `chunked`, which
  /// `Transfer-Encoding` in ``headers`` names. A `Content-Encoding` is never undone.
  public let isBodyDecoded: Bool

  /// One header field.
  public struct HeaderField: Hashable, Sendable {
    /// The name as the server spelled it. Compare it without regard to case.
    public let name: String
    /// The value without surrounding white space.
    public let value: String

    /// Compares the bytes of names and values.
    public static func == (one: HeaderField, other: HeaderField) -> Bool {
      one.name.hasSameBytes(as: other.name) && one.value.hasSameBytes(as: other.value)
    }

    /// Hashes what `==` compares.
    public func hash(into hasher: inout Hasher) {
      hasher.combine(bytesOf: name)
      hasher.combine(bytesOf: value)
    }
  }

  package init(_ refusal: HandshakeViolation.Refusal) {
    status = refusal.status
    reason = refusal.reason
    headers = refusal.headers.fields.map { HeaderField(name: $0.name, value: $0.value) }
    body = refusal.body
    isBodyComplete = refusal.isBodyComplete
    isBodyDecoded = refusal.isBodyDecoded
  }

  /// One line that is safe to show: the status and the reason phrase.
  public var description: String { HandshakeViolation.refusalDescription(status: status, reason: reason) }
}
