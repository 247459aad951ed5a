internal import Glibc

/// An open descriptor that is closed exactly once, when its owner lets go of it.
package struct FileDescriptor: ~Copyable {
  package let number: Int32

  /// Takes ownership of an open descriptor.
  package init(owning number: Int32) {
    self.number = number
  }

  deinit {
    // Not retried on EINTR: on Linux the descriptor is gone either way, and a second close could hit another's.
    close(number)
  }
}
