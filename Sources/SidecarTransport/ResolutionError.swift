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
    reason = SocketCalls.resolverText(code)
  }

  /// The host and the resolver's reason.
  public var description: String { "cannot resolve \"\(host.printable)\": \(reason)" }
}
