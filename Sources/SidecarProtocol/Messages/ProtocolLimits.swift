/// What a receiver takes at most from a peer that it does not trust (RFC 6455 §10.4).
///
/// What goes over a limit ends the connection; nothing is cut or dropped.
package struct ProtocolLimits: Sendable, Hashable {
  /// The largest message in bytes, all its fragments together, after decompression.
  ///
  /// 16 MiB by default. Ends the connection with 1009 as soon as a header announces more, or as soon as decompression
  /// produces more. At most 4 GiB − 1.
  package let maximumMessageSize: Int

  /// The largest payload of one frame in bytes, as it is on the wire: compressed, if it is.
  ///
  /// The same as `maximumMessageSize` by default. Ends the connection with 1009.
  package let maximumFrameSize: Int

  /// The most frames that one message may be cut into; empty ones count.
  ///
  /// 16,384 by default, which still lets a message of the default maximum size come in pieces of 1 KiB. It bounds what
  /// a peer can make a receiver do for a message that never becomes larger. Ends the connection with 1008.
  package let maximumFragmentsPerMessage: Int

  package static let defaultMaximumMessageSize = 16 * 1024 * 1024

  /// Makes limits; values out of range are brought into it.
  package init(
    maximumMessageSize: Int = Self.defaultMaximumMessageSize,
    maximumFrameSize: Int? = nil,
    maximumFragmentsPerMessage: Int = 16_384
  ) {
    // A payload counts its bytes in 32 bits.
    let sizes = 0...Int(UInt32.max)
    self.maximumMessageSize = min(max(maximumMessageSize, sizes.lowerBound), sizes.upperBound)
    self.maximumFrameSize = min(max(maximumFrameSize ?? maximumMessageSize, sizes.lowerBound), sizes.upperBound)
    self.maximumFragmentsPerMessage = max(1, maximumFragmentsPerMessage)
  }
}
