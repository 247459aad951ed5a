/// Where a connection goes: a TCP port of a host, or a Unix-domain socket of this machine.
///
/// ```swift
/// let endpoint = WebSocketEndpoint.unix(path: "/run/feed.sock")
/// ```
public enum WebSocketEndpoint: Hashable, Sendable {
  /// A TCP port of a host.
  ///
  /// - Parameters:
  ///   - host: A name, or an IPv4 or IPv6 address without brackets.
  ///   - port: From 1 to 65535.
  case tcp(host: String, port: UInt16)

  /// A Unix-domain stream socket.
  ///
  /// - Parameter path: The path of the socket's file, at most 107 bytes of UTF-8. A leading `@`, as `ss` and `curl`
  ///   write it, or a leading NUL makes it an abstract name (`unix(7)`), which has no file. Write `./@name` for a file
  ///   whose name starts with `@`.
  case unix(path: String)
}

/// The transport's short name for ``WebSocketEndpoint``.
package typealias Endpoint = WebSocketEndpoint

extension WebSocketEndpoint: CustomStringConvertible {
  /// The endpoint on one line, such as `example.com:80`, `[::1]:80`, `unix:/run/feed.sock` or `unix:@feed`.
  public var description: String {
    switch self {
    case .tcp(let host, let port): host.contains(":") ? "[\(host.printable)]:\(port)" : "\(host.printable):\(port)"
    case .unix(let path):
      path.first == "\0" ? "unix:@\(String(path.dropFirst()).printable)" : "unix:\(path.printable)"
    }
  }
}

/// Why nothing can be connected to at an endpoint.
package enum EndpointError: Error, Hashable, Sendable, CustomStringConvertible {
  case emptyHost
  case portZero
  case emptyUnixPath
  case unixPathTooLong(byteCount: Int, limit: Int)
  case containsNUL

  package var description: String {
    switch self {
    case .emptyHost: "the host is empty"
    case .portZero: "port 0 cannot be connected to"
    case .emptyUnixPath: "the path of the Unix-domain socket is empty"
    case .unixPathTooLong(let count, let limit):
      "the path of a Unix-domain socket has at most \(limit) bytes, not \(count)"
    case .containsNUL: "the name contains a NUL character"
    }
  }
}

extension WebSocketEndpoint {
  /// Checks what can be checked without asking the system.
  package func validate() throws(EndpointError) {
    switch self {
    case .tcp(let host, let port):
      if host.isEmpty { throw .emptyHost }
      // The resolver would look up only the part before the NUL.
      if host.utf8.contains(0) { throw .containsNUL }
      if port == 0 { throw .portZero }
    case .unix(let path):
      _ = try UnixSocketName(path)
    }
  }
}

extension String {
  /// The text with everything escaped that could break a line or reorder it, for descriptions.
  var printable: String {
    guard unicodeScalars.contains(where: \.isUnsafeToPrint) else { return self }
    return unicodeScalars.reduce(into: "") { text, scalar in
      text += scalar.isUnsafeToPrint ? "\\u{\(String(scalar.value, radix: 16))}" : String(scalar)
    }
  }
}

extension Unicode.Scalar {
  fileprivate var isUnsafeToPrint: Bool {
    if (0x20..<0x7F).contains(value) { return false }
    switch properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: return true
    default: return false
    }
  }
}
