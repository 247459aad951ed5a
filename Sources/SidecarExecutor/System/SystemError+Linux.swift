internal import CSidecarSystem
internal import Glibc

/// A system call that failed, with the system's reason.
public struct SystemError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The name of the call, such as `connect`.
  public let call: String
  /// The errno value.
  public let code: Int32

  /// Describes a failed call.
  package init(_ call: String, code: Int32) {
    self.call = call
    self.code = code
  }

  /// The error of a descriptor or a loop that is closed.
  package static func notOpen(_ call: String) -> SystemError { SystemError(call, code: EBADF) }

  /// Whether the system was short of something for the moment, so that the same call may succeed later.
  package var isTransient: Bool { code == EAGAIN || code == ENOMEM || code == ENOBUFS || code == EINTR }

  /// The system's text for the code, such as `Connection refused`.
  public var reason: String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
      guard let base = buffer.baseAddress else { return "errno \(code)" }
      csidecar_error_text(code, base, buffer.count)
      return String(cString: base)
    }
  }

  /// The call, the system's text and the code.
  public var description: String { "\(call): \(reason) (errno \(code))" }
}
