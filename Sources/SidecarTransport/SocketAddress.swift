package import CSidecarSystem
internal import Glibc

/// An IPv4 or IPv6 address with a port.
package struct SocketAddress: Hashable, Sendable, CustomStringConvertible {
  package enum Family: Sendable, Hashable { case ipv4, ipv6 }

  package let family: Family
  /// The system's form: the larger of the two, of which an IPv4 address fills the beginning.
  private var storage = sockaddr_in6()

  /// Copies an address out of the system's form; nil for a family other than IPv4 and IPv6.
  package init?(_ address: UnsafePointer<sockaddr>, length: socklen_t) {
    switch Int32(address.pointee.sa_family) {
    case AF_INET: family = .ipv4
    case AF_INET6: family = .ipv6
    default: return nil
    }
    let size = family == .ipv4 ? MemoryLayout<sockaddr_in>.size : MemoryLayout<sockaddr_in6>.size
    guard length >= size else { return nil }
    withUnsafeMutableBytes(of: &storage) { $0.copyMemory(from: UnsafeRawBufferPointer(start: address, count: size)) }
  }

  /// The IPv4 address that `host` spells in its usual form, four decimal numbers; nil for everything else.
  init?(ipv4 host: String, port: UInt16) {
    var address = sockaddr_in()
    guard inet_pton(AF_INET, host, &address.sin_addr) == 1 else { return nil }
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    family = .ipv4
    withUnsafeMutableBytes(of: &storage) { storage in withUnsafeBytes(of: address) { storage.copyMemory(from: $0) } }
  }

  /// The loopback address; port 0 lets the system choose one when it is bound.
  package static func loopback(_ family: Family = .ipv4, port: UInt16) -> SocketAddress? {
    try? Resolver.numeric(host: family == .ipv4 ? "127.0.0.1" : "::1", port: port)?.first
  }

  /// The address that a socket is bound to, or its peer's.
  package init?(of descriptor: Int32, peer: Bool) {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let address = withUnsafeMutablePointer(to: &storage) { storage in
      storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { address -> SocketAddress? in
        let status = peer ? getpeername(descriptor, address, &length) : getsockname(descriptor, address, &length)
        return status == 0 ? SocketAddress(address, length: length) : nil
      }
    }
    guard let address else { return nil }
    self = address
  }

  package func withSockaddr<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    withBytes { body($0.assumingMemoryBound(to: sockaddr.self).baseAddress.unsafelyUnwrapped, socklen_t($0.count)) }
  }

  /// Calls `body` with as much of the system's form as an address of this family has.
  private func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    let size = family == .ipv4 ? MemoryLayout<sockaddr_in>.size : MemoryLayout<sockaddr_in6>.size
    return withUnsafeBytes(of: storage) { body(UnsafeRawBufferPointer(rebasing: $0.prefix(size))) }
  }

  package static func == (one: SocketAddress, other: SocketAddress) -> Bool {
    one.family == other.family && one.withBytes { bytes in other.withBytes { bytes.elementsEqual($0) } }
  }

  package func hash(into hasher: inout Hasher) {
    withBytes { hasher.combine(bytes: $0) }
  }

  package var systemFamily: Int32 { family == .ipv4 ? AF_INET : AF_INET6 }

  package var port: UInt16 {
    // The port stands behind the family in both forms, in network byte order.
    withBytes { UInt16(bigEndian: $0.loadUnaligned(fromByteOffset: 2, as: UInt16.self)) }
  }

  /// Whether both name the same host, whatever their ports.
  func hasSameHost(as other: SocketAddress) -> Bool {
    // IPv4 has it right behind the port, IPv6 behind the flow label.
    let host = family == .ipv4 ? 4..<8 : 8..<24
    return family == other.family
      && withBytes { bytes in other.withBytes { bytes[host].elementsEqual($0[host]) } }
  }

  /// The host in its numeric form, such as `127.0.0.1` or `::1`.
  package var host: String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(NI_MAXHOST)) { buffer in
      withSockaddr { address, length in
        let status = getnameinfo(
          address, length, buffer.baseAddress, socklen_t(buffer.count), nil, 0, NI_NUMERICHOST)
        guard status == 0, let base = buffer.baseAddress else { return "?" }
        return String(cString: base)
      }
    }
  }

  package var description: String {
    family == .ipv4 ? "\(host):\(port)" : "[\(host)]:\(port)"
  }
}
