internal import CSidecarSystem
internal import Dispatch
internal import Glibc

/// A name that could not be resolved, with the resolver's reason.
public struct ResolutionError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The host that was looked up.
  public let host: String
  /// The `EAI_*` code of `getaddrinfo`.
  public let code: Int32
  /// The resolver's text for the code, such as `Name or service not known`.
  public let reason: String

  package init(host: String, code: Int32) {
    self.host = host
    self.code = code
    reason = String(cString: gai_strerror(code))
  }

  /// The host and the resolver's reason.
  public var description: String { "cannot resolve \"\(host)\": \(reason)" }
}

/// Turns a host name into addresses, away from the sidecar thread: the system's resolver blocks.
package struct Resolver: Sendable {
  private let lookUp: @Sendable (String, UInt16) throws(ResolutionError) -> [SocketAddress]

  /// A resolver that asks `lookUp`, which may block and is called on a Dispatch worker.
  package init(_ lookUp: @escaping @Sendable (String, UInt16) throws(ResolutionError) -> [SocketAddress]) {
    self.lookUp = lookUp
  }

  /// The system's resolver, with what it is configured to ask: `/etc/hosts`, DNS and so on.
  package static let system = Resolver { host, port throws(ResolutionError) in
    try getAddresses(host: host, port: port, flags: 0)
  }

  /// Looks `host` up, and hands the addresses (never none) in the resolver's order to `completion`: at once for a
  /// numeric address, from a Dispatch worker otherwise.
  ///
  /// A look-up can't be stopped. One that nobody waits for any more finishes by itself; it holds only what `completion`
  /// captured.
  package func resolve(
    host: String, port: UInt16,
    completion: @escaping @Sendable (Result<[SocketAddress], ResolutionError>) -> Void
  ) {
    if let addresses = try? Resolver.numeric(host: host, port: port) {
      completion(.success(addresses))
      return
    }
    // A queue of its own brings a thread when it needs one: a full concurrency pool holds up no look-up, and slow look-ups
    // do not hold up the pool. Not a spare worker: there are some 250 of those, and as many look-ups that hang would hold
    // up every deadline.
    DispatchQueue(label: "sidecar.resolver", qos: .utility).async { [lookUp] in
      completion(
        Result { () throws(ResolutionError) in
          let addresses = try lookUp(host, port)
          guard !addresses.isEmpty else { throw ResolutionError(host: host, code: EAI_NONAME) }
          return addresses
        })
    }
  }

  /// The address that `host` spells, or nil if it is a name. Asks nobody.
  static func numeric(host: String, port: UInt16) throws(ResolutionError) -> [SocketAddress]? {
    // What most of them look like, without the resolver's detours.
    if let address = SocketAddress(ipv4: host, port: port) { return [address] }
    do {
      return try getAddresses(host: host, port: port, flags: AI_NUMERICHOST)
    } catch {
      guard error.code == EAI_NONAME else { throw error }
      return nil
    }
  }

  private static func getAddresses(
    host: String, port: UInt16, flags: Int32
  ) throws(ResolutionError) -> [SocketAddress] {
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = flags | AI_NUMERICSERV
    var list: UnsafeMutablePointer<addrinfo>?
    let status = getaddrinfo(host, String(port), &hints, &list)
    guard status == 0 else { throw ResolutionError(host: host, code: status) }
    defer { freeaddrinfo(list) }
    return sequence(first: list, next: { $0?.pointee.ai_next }).compactMap { entry in
      guard let entry, let address = entry.pointee.ai_addr else { return nil }
      return SocketAddress(address, length: entry.pointee.ai_addrlen)
    }
  }
}
