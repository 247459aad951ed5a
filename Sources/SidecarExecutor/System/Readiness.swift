/// What a descriptor is watched for, and what it turned out to be ready for.
///
/// The values are the ones that Linux uses, so that translating costs nothing there; the C module asserts that they
/// are. Inlinable, because other modules would otherwise build each set through generic code at run time.
@usableFromInline
package struct Readiness: OptionSet, Sendable, Hashable {
  @usableFromInline package let rawValue: UInt32

  @inlinable
  package init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  @inlinable package static var readable: Readiness { Readiness(rawValue: 0x1) }
  @inlinable package static var writable: Readiness { Readiness(rawValue: 0x4) }
  /// The socket failed. Reported whether it is watched for or not.
  @inlinable package static var failed: Readiness { Readiness(rawValue: 0x8) }
  /// Both halves of the stream have ended. Reported whether it is watched for or not.
  @inlinable package static var hungUp: Readiness { Readiness(rawValue: 0x10) }
  /// The peer has ended its half of the stream. Watched for even while reading is paused.
  @inlinable package static var peerEnded: Readiness { Readiness(rawValue: 0x2000) }
}
