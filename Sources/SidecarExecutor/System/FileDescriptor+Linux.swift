internal import Glibc

/// An open descriptor, closed exactly once: when its owner releases it.
package struct FileDescriptor: ~Copyable {
  package let number: Int32

  /// Takes ownership of an open descriptor.
  package init(owning number: Int32) {
    self.number = number
  }

  deinit {
    // Not retried on EINTR: on Linux the descriptor is closed either way, and a second close could hit a reused number.
    close(number)
  }
}
