import Glibc
import SidecarExecutor
import Testing

@testable import SidecarTransport

@Suite("Addresses and endpoints") struct SocketAddressTests {
  private func numeric(_ host: String, _ port: UInt16 = 80) throws -> SocketAddress {
    try #require(SocketAddress(numeric: host, port: port))
  }

  /// Into a `sockaddr` and back.
  private func copy(_ address: SocketAddress) -> SocketAddress? {
    address.withSockaddr { SocketAddress($0, length: $1) }
  }

  @Test(arguments: [
    ("127.0.0.1", "127.0.0.1:80"), ("255.255.255.255", "255.255.255.255:80"), ("127.1", "127.0.0.1:80"),
    ("::1", "[::1]:80"), ("2001:db8::ff00:42:8329", "[2001:db8::ff00:42:8329]:80"), ("::", "[::]:80"),
    ("::ffff:10.1.2.3", "[::ffff:10.1.2.3]:80"), ("fe80::1%1", "[fe80::1%lo]:80"),
  ]) func `a numeric address is read, described and survives as a sockaddr`(text: String, description: String)
    throws
  {
    let address = try numeric(text)
    #expect(address.description == description)
    #expect(address.port == 80)
    #expect(copy(address) == address)
  }

  @Test(arguments: ["localhost", "", "1.2.3.4.5", "256.1.1.1", "::g", "[::1]", "example.com", "1.2.3.4 "])
  func `a name is no numeric address`(text: String) {
    #expect(SocketAddress(numeric: text, port: 80) == nil)
  }

  @Test func `a form that is too short or of another family is no address`() throws {
    for address in [try numeric("127.0.0.1"), try numeric("::1")] {
      address.withSockaddr { form, length in
        #expect(SocketAddress(form, length: length - 1) == nil)
        #expect(SocketAddress(form, length: 1) == nil)
      }
    }
    var other = sockaddr(sa_family: sa_family_t(AF_NETLINK), sa_data: sockaddr().sa_data)
    #expect(SocketAddress(&other, length: socklen_t(MemoryLayout<sockaddr>.size)) == nil)
  }

  @Test func `addresses with different ports or scopes differ, and can be on the same host`() throws {
    #expect(try numeric("127.0.0.1", 1) != numeric("127.0.0.1", 2))
    #expect(try numeric("fe80::1%1") != numeric("fe80::1"))
    #expect(try numeric("127.0.0.1", 1).hasSameHost(as: numeric("127.0.0.1", 2)))
    #expect(try !numeric("127.0.0.1", 1).hasSameHost(as: numeric("127.0.0.2", 1)))
    #expect(try numeric("::1", 1).hasSameHost(as: numeric("::1", 2)))
    #expect(try !numeric("::1", 1).hasSameHost(as: numeric("::2", 1)))
    #expect(try !numeric("::1", 1).hasSameHost(as: numeric("127.0.0.1", 1)))
  }

  @Test func `only port 0 is replaced by the port that is asked for`() throws {
    #expect(try numeric("127.0.0.1", 0).replacingPortZero(by: 9) == numeric("127.0.0.1", 9))
    #expect(try numeric("::1", 0).replacingPortZero(by: 9) == numeric("::1", 9))
    #expect(try numeric("127.0.0.1", 7).replacingPortZero(by: 9) == numeric("127.0.0.1", 7))
  }

  @Test(arguments: ["/run/feed.sock", "@feed", "./@feed"]) func `a Unix name survives as a sockaddr`(name: String)
    throws
  {
    let address = SocketAddress.unix(try UnixSocketName(name))
    #expect(copy(address) == address)
    #expect(address.description == "unix:\(name)")
  }

  @Test func `a socket that was never bound has no name`() {
    #expect(copy(.unix(.unnamed)) == .unix(.unnamed))
    #expect(SocketAddress.unix(.unnamed).description == "unix:(unnamed)")
  }

  @Test(arguments: [
    (Endpoint.tcp(host: "example.com", port: 80), "example.com:80"), (.tcp(host: "::1", port: 9000), "[::1]:9000"),
    (.unix(path: "/run/feed.sock"), "unix:/run/feed.sock"), (.unix(path: "@feed"), "unix:@feed"),
    (.unix(path: "\0feed"), "unix:@feed"), (.unix(path: "/tmp/a\u{1B}b\n"), #"unix:/tmp/a\u{1b}b\u{a}"#),
    (.tcp(host: "a\u{2028}b", port: 1), #"a\u{2028}b:1"#), (.tcp(host: "bücher.example", port: 1), "bücher.example:1"),
  ]) func `an endpoint describes itself on one line`(endpoint: Endpoint, description: String) {
    #expect(endpoint.description == description)
  }

  @Test func `an endpoint that leads nowhere says why`() {
    #expect(throws: EndpointError.emptyHost) { try Endpoint.tcp(host: "", port: 80).validate() }
    #expect(throws: EndpointError.containsNUL) { try Endpoint.tcp(host: "localhost\0.example", port: 80).validate() }
    #expect(throws: EndpointError.portZero) { try Endpoint.tcp(host: "localhost", port: 0).validate() }
    #expect(throws: Never.self) { try Endpoint.tcp(host: "localhost", port: 65535).validate() }
  }
}

extension UnixSocketName {
  /// The name of a socket that was never bound, as a client's usually is.
  static let unnamed = UnixSocketName(bytes: [])
}
