internal import Glibc

/// The system could not provide random bytes.
package struct RandomnessError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The name of the call that failed.
  package static let call = "getentropy"

  /// The errno value.
  package let code: Int32

  package init(code: Int32) {
    self.code = code
  }

  package var description: String { "\(Self.call) failed with errno \(code)" }
}

/// Where unpredictable bytes come from: the kernel, or what a test puts in its place.
package struct RandomSource: Sendable {
  /// Fills the buffer whole and returns 0, or returns an errno value.
  private let fillBuffer: @Sendable (UnsafeMutableRawBufferPointer) -> Int32

  /// Makes a source for tests.
  ///
  /// - Parameter fill: Fills the buffer whole and returns 0, or returns an errno value.
  package init(_ fill: @escaping @Sendable (UnsafeMutableRawBufferPointer) -> Int32) {
    fillBuffer = fill
  }

  /// `getentropy(3)`, which fills up to 256 bytes whole or fails.
  package static let kernel = RandomSource { bytes in
    guard let start = bytes.baseAddress else { return 0 }
    return getentropy(start, bytes.count) == 0 ? 0 : errno
  }

  /// Fills at most 256 bytes.
  ///
  /// - Throws: ``RandomnessError`` if the kernel has no randomness to give, for instance because a sandbox forbids the
  ///   call. The bytes must not be used then.
  package func fill(_ bytes: UnsafeMutableRawBufferPointer) throws(RandomnessError) {
    let code = fillBuffer(bytes)
    if code != 0 { throw RandomnessError(code: code) }
  }
}
