internal import Glibc

/// Owns a block of `malloc`ed memory that payloads point into; the last of them frees it.
///
/// Plain `malloc`, not memory allocated with the object: a large message grows by `realloc`, which moves pages instead
/// of bytes, and its memory becomes a chunk without a copy.
@usableFromInline
package final class PayloadChunk {
  @usableFromInline package let base: UnsafeMutableRawPointer

  /// Allocates a chunk of uninitialised memory.
  package init(byteCount: Int) {
    base = allocateMemory(byteCount)
  }

  /// Takes ownership of memory that `malloc` returned.
  package init(adopting memory: UnsafeMutableRawPointer) {
    base = memory
  }

  deinit {
    free(base)
  }
}

// Each byte is written once, by the code that made the chunk, before a payload that covers it exists; no payload can
// write. So no byte is written while another thread can read it.
extension PayloadChunk: @unchecked Sendable {}

func allocateMemory(_ byteCount: Int) -> UnsafeMutableRawPointer {
  guard let memory = malloc(max(1, byteCount)) else { stopForLackOfMemory("no \(byteCount) bytes are free") }
  return memory
}

func reallocateMemory(_ memory: UnsafeMutableRawPointer?, _ byteCount: Int) -> UnsafeMutableRawPointer {
  let moved = realloc(memory, max(1, byteCount))
  guard let moved else { stopForLackOfMemory("no \(byteCount) bytes are free") }
  return moved
}

/// Stops the program: every size is bounded before it is allocated, so the process itself is out of memory.
func stopForLackOfMemory(_ what: String) -> Never {
  fatalError("Out of memory: \(what).")
}
