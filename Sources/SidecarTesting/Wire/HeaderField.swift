internal import SidecarProtocol

extension TestServer {
  /// A header field of a request or an answer.
  public struct HeaderField: Sendable, Hashable {
    /// The name, spelled as on the wire. Names are compared without case where it matters (RFC 9110 §5.1).
    public var name: String
    /// The value.
    public var value: String

    /// Makes a field, valid or not.
    public init(_ name: String, _ value: String) {
      self.name = name
      self.value = value
    }

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
}
