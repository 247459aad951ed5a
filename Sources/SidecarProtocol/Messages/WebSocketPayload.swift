internal import Glibc

/// Holds the bytes of a binary message.
///
/// A collection of bytes that cannot be changed. A copy of the value shares the bytes, so that passing a payload on
/// costs nothing. Payloads that come from a connection share memory with their neighbours: keeping one of up to 1 KiB
/// keeps at most 16 KiB of memory, one of 8 to 64 KiB at most 64 KiB, any other only itself.
///
/// ```swift
/// let payload: WebSocketPayload = [0xCA, 0xFE]
/// let array = Array(payload)
/// let first = payload.withBytes { bytes in bytes.unsafeLoadUnaligned(as: UInt16.self) }
/// ```
///
/// A value type: safe to share between threads. At most 4 GiB − 1 bytes long.
public struct WebSocketPayload: Sendable {
  @usableFromInline let chunk: PayloadChunk?
  @usableFromInline let offset: UInt32
  @usableFromInline let length: UInt32

  @inlinable
  package init(chunk: PayloadChunk?, offset: UInt32, length: UInt32) {
    self.chunk = chunk
    self.offset = offset
    self.length = length
  }

  /// Makes an empty payload.
  @inlinable
  public init() {
    self.init(chunk: nil, offset: 0, length: 0)
  }

  /// Makes a payload of a copy of `bytes`.
  ///
  /// Fast for arrays, array slices, `Data` and everything else that has its bytes in one piece. More than 4 GiB − 1
  /// bytes stop the program.
  @inlinable
  public init(_ bytes: some Sequence<UInt8>) {
    let copied = bytes.withContiguousStorageIfAvailable { WebSocketPayload(copying: UnsafeRawBufferPointer($0)) }
    self = copied ?? Array(bytes).withUnsafeBytes { WebSocketPayload(copying: $0) }
  }

  /// Makes a payload of a copy of `bytes`.
  ///
  /// More than 4 GiB − 1 bytes stop the program.
  public init(_ bytes: RawSpan) {
    self = bytes.withUnsafeBytes { WebSocketPayload(copying: $0) }
  }

  @usableFromInline
  package init(copying bytes: UnsafeRawBufferPointer) {
    guard let source = bytes.baseAddress, !bytes.isEmpty else {
      self.init()
      return
    }
    precondition(bytes.count <= UInt32.max, "A payload of \(bytes.count) bytes is too large: the most is 4 GiB - 1.")
    let chunk = PayloadChunk(byteCount: bytes.count)
    chunk.base.copyMemory(from: source, byteCount: bytes.count)
    self.init(chunk: chunk, offset: 0, length: UInt32(truncatingIfNeeded: bytes.count))
  }

  /// Calls `body` with the bytes, without copying them.
  ///
  /// The span is valid only during the call, which the compiler checks. Rethrows what `body` throws.
  @inlinable
  public func withBytes<Result, Failure: Error>(
    _ body: (RawSpan) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let bytes = unsafeBytes
    defer { withExtendedLifetime(chunk) {} }
    return try body(bytes.bytes)
  }

  /// Calls `body` with the bytes, without copying them, for code that needs a pointer.
  ///
  /// The pointer is valid only during the call. Rethrows what `body` throws.
  @inlinable
  public func withUnsafeBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let bytes = unsafeBytes
    defer { withExtendedLifetime(chunk) {} }
    return try body(bytes)
  }

  /// The bytes, for as long as `chunk` is kept alive.
  @inlinable
  var unsafeBytes: UnsafeRawBufferPointer {
    guard let chunk else { return UnsafeRawBufferPointer(start: nil, count: 0) }
    return UnsafeRawBufferPointer(start: chunk.base + Int(offset), count: Int(length))
  }
}

extension WebSocketPayload: RandomAccessCollection {
  /// The index of the first byte: 0.
  @inlinable public var startIndex: Int { 0 }

  /// The index after the last byte, which is the number of bytes.
  @inlinable public var endIndex: Int { Int(length) }

  /// The number of bytes.
  @inlinable public var count: Int { Int(length) }

  /// The byte at `position`, which is from 0 to `count` − 1; any other position stops the program.
  @inlinable public subscript(position: Int) -> UInt8 {
    precondition(position >= 0 && position < count, "There is no byte at \(position) in a payload of \(count) bytes.")
    return unsafeBytes[position]
  }

  /// Calls `body` with the bytes, without copying them; always available.
  ///
  /// The pointer is valid only during the call. Rethrows what `body` throws.
  @inlinable
  public func withContiguousStorageIfAvailable<Result>(
    _ body: (UnsafeBufferPointer<UInt8>) throws -> Result
  ) rethrows -> Result? {
    let bytes = unsafeBytes
    defer { withExtendedLifetime(chunk) {} }
    return try bytes.withMemoryRebound(to: UInt8.self, body)
  }

  /// Copies the bytes into `buffer`: what `Array(payload)` is made by, in one copy instead of a loop over indices.
  @inlinable
  public func _copyContents(
    initializing buffer: UnsafeMutableBufferPointer<UInt8>
  ) -> (Iterator, UnsafeMutableBufferPointer<UInt8>.Index) {
    let copied = Swift.min(count, buffer.count)
    withUnsafeBytes { bytes in
      UnsafeMutableRawBufferPointer(buffer).copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes.prefix(copied)))
    }
    return (IndexingIterator(_elements: self, _position: copied), copied)
  }
}

extension WebSocketPayload: Hashable {
  /// Whether both payloads have the same bytes.
  public static func == (left: WebSocketPayload, right: WebSocketPayload) -> Bool {
    guard left.length == right.length else { return false }
    return left.withUnsafeBytes { left in
      right.withUnsafeBytes { right in
        guard let first = left.baseAddress, let second = right.baseAddress else { return true }
        return memcmp(first, second, left.count) == 0
      }
    }
  }

  /// Feeds the bytes into `hasher`.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(length)
    withUnsafeBytes { hasher.combine(bytes: $0) }
  }
}

extension WebSocketPayload: ExpressibleByArrayLiteral {
  /// Makes a payload of the bytes in the literal.
  public init(arrayLiteral elements: UInt8...) {
    self.init(elements)
  }
}

extension WebSocketPayload: CustomStringConvertible, CustomDebugStringConvertible {
  /// The number of bytes, and the first 16 of them in hexadecimal: `2 bytes: ca fe`.
  public var description: String {
    guard !isEmpty else { return "0 bytes" }
    let shown = prefix(16).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
    return "\(count) byte\(count == 1 ? "" : "s"): \(shown)\(count > 16 ? " …" : "")"
  }

  /// The same as `description`, with the type's name.
  public var debugDescription: String { "WebSocketPayload(\(description))" }
}
