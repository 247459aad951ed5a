extension TestServer {
  /// The header of a frame that the server received, as it was on the wire.
  public struct ReceivedFrame: Sendable, Hashable {
    /// Whether this is the last frame of its message.
    public let fin: Bool
    /// The first reserved bit.
    public let rsv1: Bool
    /// The second reserved bit.
    public let rsv2: Bool
    /// The third reserved bit.
    public let rsv3: Bool
    /// The opcode, which may be a reserved one.
    public let opcode: UInt8
    /// The mask key, its first byte on the wire lowest; nil if the frame is not masked.
    public let maskKey: UInt32?
    /// The length that the header announces, in bytes.
    public let payloadLength: UInt64
  }
}
