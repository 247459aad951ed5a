@testable import Sidecar
@testable import SidecarTransport

// What tests reach for inside the client. A redesign changes this file, and not the tests.

extension Connection {
  /// The descriptor of the stream, if there is one.
  var descriptor: Int32? {
    if case .connected(let stream) = phase { stream.descriptor } else { nil }
  }
}
