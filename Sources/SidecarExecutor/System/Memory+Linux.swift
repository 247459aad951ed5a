internal import Glibc

/// Memory from `malloc`, which its last owner frees with `free`.
package enum Memory {
  /// Allocates `byteCount` bytes, uninitialised; stops the program if there are none.
  package static func allocate(_ byteCount: Int) -> UnsafeMutableRawBufferPointer {
    guard let memory = malloc(byteCount) else { fatalError("Out of memory: \(byteCount) bytes.") }
    return UnsafeMutableRawBufferPointer(start: memory, count: byteCount)
  }

  /// Frees what ``allocate(_:)`` returned.
  package static func free(_ memory: UnsafeMutableRawBufferPointer?) {
    Glibc.free(memory?.baseAddress)
  }
}
