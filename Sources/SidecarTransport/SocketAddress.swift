/// The address of one end of a socket.
package enum SocketAddress: Hashable, Sendable {
  case ipv4(IPv4Host, port: UInt16)
  case ipv6(IPv6Host, port: UInt16)
  case unix(UnixSocketName)

  package enum Family: Hashable, Sendable { case ipv4, ipv6, unix }

  /// The 32 bits of an IPv4 address, `127.0.0.1` being 0x7F000001.
  package struct IPv4Host: Hashable, Sendable {
    let bits: UInt32
  }

  /// The 128 bits of an IPv6 address, and the interface that a link-local one belongs to (RFC 4007 §6), or 0.
  package struct IPv6Host: Hashable, Sendable {
    let high: UInt64
    let low: UInt64
    let scope: UInt32
  }

  /// Makes the loopback address of an IP family.
  ///
  /// - Parameter port: 0 lets the system choose one when the address is bound.
  package static func loopback(_ family: Family = .ipv4, port: UInt16) -> SocketAddress {
    family == .ipv6
      ? .ipv6(IPv6Host(high: 0, low: 1, scope: 0), port: port) : .ipv4(IPv4Host(bits: 0x7F00_0001), port: port)
  }

  package var family: Family {
    switch self {
    case .ipv4: .ipv4
    case .ipv6: .ipv6
    case .unix: .unix
    }
  }

  /// The port; 0 for a Unix-domain socket, which has none.
  package var port: UInt16 {
    switch self {
    case .ipv4(_, let port), .ipv6(_, let port): port
    case .unix: 0
    }
  }

  /// Replaces port 0, which a look-up of a name alone leaves, by `port`.
  func replacingPortZero(by port: UInt16) -> SocketAddress {
    switch self {
    case .ipv4(let host, port: 0): .ipv4(host, port: port)
    case .ipv6(let host, port: 0): .ipv6(host, port: port)
    case .ipv4, .ipv6, .unix: self
    }
  }

  /// Returns whether both addresses are on the same host, whatever their ports.
  func hasSameHost(as other: SocketAddress) -> Bool {
    switch (self, other) {
    case (.ipv4(let one, _), .ipv4(let other, _)): one == other
    case (.ipv6(let one, _), .ipv6(let other, _)): one == other
    case (.unix, .unix): true
    default: false
    }
  }
}

extension SocketAddress: CustomStringConvertible {
  /// The address on one line, such as `127.0.0.1:80`, `[::1]:80` or `unix:/run/feed.sock`.
  package var description: String {
    switch self {
    case .ipv4(_, let port): "\(host):\(port)"
    case .ipv6(_, let port): "[\(host)]:\(port)"
    case .unix(let name): "unix:\(name)"
    }
  }
}
