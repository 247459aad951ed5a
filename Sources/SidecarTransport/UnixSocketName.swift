/// What a Unix-domain socket is bound to: a path, an abstract name (`unix(7)`), or nothing.
package struct UnixSocketName: Hashable, Sendable, CustomStringConvertible {
  /// The system's room for a name is 108 bytes; a path ends with a NUL, and an abstract name starts with one.
  package static let maximumByteCount = 107

  /// The name as it stands in a `sockaddr_un`: an abstract one starts with a NUL, a path has no NUL at its end.
  let bytes: [UInt8]

  init(bytes: [UInt8]) {
    self.bytes = bytes
  }

  /// Reads a name as a user writes it: see ``WebSocketEndpoint/unix(path:)``.
  package init(_ text: String) throws(EndpointError) {
    var bytes = [UInt8](text.utf8)
    let isAbstract = bytes.first == UInt8(ascii: "@") || bytes.first == 0
    if isAbstract { bytes[0] = 0 }
    let name = bytes.dropFirst(isAbstract ? 1 : 0)
    guard !name.isEmpty else { throw .emptyUnixPath }
    guard !name.contains(0) else { throw .containsNUL }
    guard name.count <= UnixSocketName.maximumByteCount else {
      throw .unixPathTooLong(byteCount: name.count, limit: UnixSocketName.maximumByteCount)
    }
    self.bytes = bytes
  }

  package var isAbstract: Bool { bytes.first == 0 }

  /// The name on one line, an abstract one with a leading `@`.
  package var description: String {
    if bytes.isEmpty { return "(unnamed)" }
    return (isAbstract ? "@" : "") + String(decoding: bytes.dropFirst(isAbstract ? 1 : 0), as: UTF8.self).printable
  }
}
