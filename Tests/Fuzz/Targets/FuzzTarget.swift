/// What is fuzzed: a function of bytes that asserts properties of the protocol core for them.
///
/// The driver hands them what libFuzzer makes up, the replay tests what it has found before.
package enum FuzzTarget: String, CaseIterable, Sendable {
  /// Frames and messages, without compression, in both roles.
  case frames
  /// Compressed messages, under agreed parameters that the input chooses.
  case inflate
  /// The answer to an opening request, and the request.
  case handshake
  /// The `Sec-WebSocket-Extensions` header.
  case extensions
  /// The payload of Close frames, and the closing handshake.
  case close
  /// A connection from the opening handshake to the end of the stream.
  case connection
  /// The UTF-8 validator.
  case text

  /// Asserts the target's properties for `bytes`.
  package func run(_ bytes: UnsafeRawBufferPointer) throws(PropertyFailure) {
    var input = FuzzInput(bytes)
    switch self {
    case .frames: try checkFrames(&input)
    case .inflate: try checkInflate(&input)
    case .handshake: try checkHandshake(&input)
    case .extensions: try checkExtensions(&input)
    case .close: try checkClose(&input)
    case .connection: try checkConnection(&input)
    case .text: try checkText(&input)
    }
  }
}

/// A property that does not hold.
package struct PropertyFailure: Error, CustomStringConvertible {
  package let description: String
}

/// Fails unless `condition` holds.
func require(_ condition: Bool, _ message: @autoclosure () -> String) throws(PropertyFailure) {
  if !condition { throw PropertyFailure(description: message()) }
}
