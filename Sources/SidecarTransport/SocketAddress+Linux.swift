package import Glibc

/// Addresses as `sockaddr`, and back.
extension SocketAddress {
  /// Copies an address out of a `sockaddr`; nil if its family is none of ours, or if it is too short.
  package init?(_ address: UnsafePointer<sockaddr>, length: socklen_t) {
    let form = UnsafeRawBufferPointer(start: address, count: Int(length))
    guard form.count >= MemoryLayout<sa_family_t>.size else { return nil }
    switch Int32(form.loadUnaligned(as: sa_family_t.self)) {
    case AF_INET:
      guard form.count >= MemoryLayout<sockaddr_in>.size else { return nil }
      let form = form.loadUnaligned(as: sockaddr_in.self)
      self = .ipv4(IPv4Host(bits: UInt32(bigEndian: form.sin_addr.s_addr)), port: UInt16(bigEndian: form.sin_port))
    case AF_INET6:
      guard form.count >= MemoryLayout<sockaddr_in6>.size else { return nil }
      let form = form.loadUnaligned(as: sockaddr_in6.self)
      let (high, low) = withUnsafeBytes(of: form.sin6_addr) { bytes in
        (bytes.loadUnaligned(as: UInt64.self), bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
      }
      self = .ipv6(
        IPv6Host(high: UInt64(bigEndian: high), low: UInt64(bigEndian: low), scope: form.sin6_scope_id),
        port: UInt16(bigEndian: form.sin6_port))
    case AF_UNIX:
      let name = [UInt8](form.dropFirst(MemoryLayout<sa_family_t>.size))
      // The length of a path may or may not count the NUL at its end.
      let end = name.first == 0 ? name.endIndex : name.firstIndex(of: 0) ?? name.endIndex
      self = .unix(UnixSocketName(bytes: [UInt8](name[..<end])))
    default: return nil
    }
  }

  /// Reads a numeric IPv4 or IPv6 address; nil for everything else, such as a name. Never asks a resolver.
  package init?(numeric host: String, port: UInt16) {
    var ipv4 = in_addr()
    if inet_pton(AF_INET, host, &ipv4) == 1 {
      self = .ipv4(IPv4Host(bits: UInt32(bigEndian: ipv4.s_addr)), port: port)
      return
    }
    // Scoped addresses (`fe80::1%eth0`) and the old IPv4 forms (`127.1`) remain. The resolver reads those.
    guard let address = try? SocketCalls.addresses(of: host, onlyNumeric: true).first else { return nil }
    self = address.replacingPortZero(by: port)
  }

  package var systemFamily: Int32 {
    switch self {
    case .ipv4: AF_INET
    case .ipv6: AF_INET6
    case .unix: AF_UNIX
    }
  }

  /// Calls `body` with the address as a `sockaddr`.
  package func withSockaddr<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    switch self {
    case .ipv4(let host, let port):
      var form = sockaddr_in()
      form.sin_family = sa_family_t(AF_INET)
      form.sin_addr.s_addr = host.bits.bigEndian
      form.sin_port = port.bigEndian
      return SocketAddress.withSockaddr(form, MemoryLayout<sockaddr_in>.size, body)
    case .ipv6(let host, let port):
      var form = sockaddr_in6()
      form.sin6_family = sa_family_t(AF_INET6)
      withUnsafeMutableBytes(of: &form.sin6_addr) { bytes in
        bytes.storeBytes(of: host.high.bigEndian, as: UInt64.self)
        bytes.storeBytes(of: host.low.bigEndian, toByteOffset: 8, as: UInt64.self)
      }
      form.sin6_scope_id = host.scope
      form.sin6_port = port.bigEndian
      return SocketAddress.withSockaddr(form, MemoryLayout<sockaddr_in6>.size, body)
    case .unix(let name):
      var form = sockaddr_un()
      form.sun_family = sa_family_t(AF_UNIX)
      withUnsafeMutableBytes(of: &form.sun_path) { $0.copyBytes(from: name.bytes.prefix($0.count)) }
      // The length says where an abstract name ends, which may contain anything; a path ends with a NUL.
      let terminator = name.isAbstract || name.bytes.isEmpty ? 0 : 1
      let length = MemoryLayout<sa_family_t>.size + name.bytes.count + terminator
      return SocketAddress.withSockaddr(form, min(length, MemoryLayout<sockaddr_un>.size), body)
    }
  }

  private static func withSockaddr<Form, Result>(
    _ form: Form, _ length: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
  ) -> Result {
    withUnsafePointer(to: form) { form in
      form.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(length)) }
    }
  }

  /// The host in its numeric form, such as `127.0.0.1` or `::1`; the name of a Unix-domain socket.
  package var host: String {
    if case .unix(let name) = self { return name.description }
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(NI_MAXHOST)) { buffer in
      withSockaddr { address, length in
        let status = getnameinfo(address, length, buffer.baseAddress, socklen_t(buffer.count), nil, 0, NI_NUMERICHOST)
        guard status == 0, let base = buffer.baseAddress else { return "?" }
        return String(cString: base)
      }
    }
  }
}
