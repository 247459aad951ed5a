/// The extension that compresses messages (RFC 7692 §7), and how two endpoints agree on it.
package enum PermessageDeflate {
  package static let name = "permessage-deflate"

  /// The window sizes that DEFLATE has, as powers of two (RFC 7692 §7.1.2).
  static let windowBits = 8...15

  enum ParameterName {
    static let serverNoContextTakeover = "server_no_context_takeover"
    static let clientNoContextTakeover = "client_no_context_takeover"
    static let serverMaxWindowBits = "server_max_window_bits"
    static let clientMaxWindowBits = "client_max_window_bits"
  }

  /// The compression parameters in effect for a connection.
  package struct Agreement: Hashable, Sendable {
    /// Whether the server begins each message with an empty window (§7.1.1.1). It saves the server's memory between
    /// messages, and the client's, and costs compression.
    package let serverNoContextTakeover: Bool

    /// Whether the client begins each message with an empty window (§7.1.1.2).
    package let clientNoContextTakeover: Bool

    /// The server's window: 2 to this power bytes (§7.1.2.1).
    package let serverMaxWindowBits: Int

    /// The client's window: 2 to this power bytes (§7.1.2.2).
    package let clientMaxWindowBits: Int

    package init(
      serverNoContextTakeover: Bool = false, clientNoContextTakeover: Bool = false, serverMaxWindowBits: Int = 15,
      clientMaxWindowBits: Int = 15
    ) {
      self.serverNoContextTakeover = serverNoContextTakeover
      self.clientNoContextTakeover = clientNoContextTakeover
      self.serverMaxWindowBits = serverMaxWindowBits
      self.clientMaxWindowBits = clientMaxWindowBits
    }

    /// Whether the endpoint of this role begins each message that it sends with an empty window.
    package func noContextTakeover(sender: Role) -> Bool {
      sender == .client ? clientNoContextTakeover : serverNoContextTakeover
    }

    /// The window of the endpoint of this role, for what it sends.
    package func windowBits(sender: Role) -> Int {
      sender == .client ? clientMaxWindowBits : serverMaxWindowBits
    }
  }

  /// What a client asks for (§7.1).
  package struct Offer: Hashable, Sendable {
    /// Asks the server to begin each message with an empty window. Off by default.
    package var serverNoContextTakeover: Bool

    /// Says that the client will begin each message with an empty window. Off by default.
    package var clientNoContextTakeover: Bool

    /// Asks the server for a window of at most 2 to this power bytes, from 8 to 15. No limit by default.
    package var serverMaxWindowBits: Int?

    /// The window of the client, 2 to this power bytes, from 8 to 15. By default 15, or what the server asks for.
    package var clientMaxWindowBits: Int

    /// Whether a response fails that does not keep what was asked of the server. Off by default: most servers accept an
    /// offer without confirming its parameters.
    package var requiresParameters: Bool

    package init(
      serverNoContextTakeover: Bool = false, clientNoContextTakeover: Bool = false, serverMaxWindowBits: Int? = nil,
      clientMaxWindowBits: Int = 15, requiresParameters: Bool = false
    ) {
      let range = PermessageDeflate.windowBits
      precondition(
        range.contains(clientMaxWindowBits) && serverMaxWindowBits.map(range.contains) ?? true,
        "Window bits are from 8 to 15 (RFC 7692 §7.1.2).")
      self.serverNoContextTakeover = serverNoContextTakeover
      self.clientNoContextTakeover = clientNoContextTakeover
      self.serverMaxWindowBits = serverMaxWindowBits
      self.clientMaxWindowBits = clientMaxWindowBits
      self.requiresParameters = requiresParameters
    }

    /// The offer as it is written in `Sec-WebSocket-Extensions`.
    package var element: ExtensionElement {
      var parameters: [ExtensionElement.Parameter] = []
      if serverNoContextTakeover { parameters.append(.init(ParameterName.serverNoContextTakeover)) }
      if clientNoContextTakeover { parameters.append(.init(ParameterName.clientNoContextTakeover)) }
      if let serverMaxWindowBits {
        parameters.append(.init(ParameterName.serverMaxWindowBits, "\(serverMaxWindowBits)"))
      }
      // §7.1.2.2: the parameter without a value says that the client can limit its window if the server asks for it.
      parameters.append(
        .init(ParameterName.clientMaxWindowBits, clientMaxWindowBits == 15 ? nil : "\(clientMaxWindowBits)"))
      return ExtensionElement(PermessageDeflate.name, parameters)
    }

    /// Returns what holds after the server's response to this offer (§7.1).
    ///
    /// What was asked of the server is a request unless ``requiresParameters`` is set: where the response says
    /// nothing, the defaults hold, and a larger window than the one asked for is accepted.
    ///
    /// - Throws: What is wrong with the response.
    package func agreement(_ response: ExtensionElement) throws(ExtensionViolation) -> Agreement {
      let parameters = try Parameters(response, isResponse: true)
      if requiresParameters { try checkConfirmation(parameters) }
      // §7.1.1, §7.1.2.1: a server may answer with parameters that were not offered. This endpoint always offers
      // client_max_window_bits, so the response may have it too (§7.1.2.2).
      return Agreement(
        serverNoContextTakeover: parameters.serverNoContextTakeover,
        clientNoContextTakeover: clientNoContextTakeover || parameters.clientNoContextTakeover,
        serverMaxWindowBits: parameters.serverMaxWindowBits ?? 15,
        clientMaxWindowBits: min(clientMaxWindowBits, parameters.clientMaxWindowBits.flatMap { $0 } ?? 15))
    }

    private func checkConfirmation(_ parameters: Parameters) throws(ExtensionViolation) {
      // §7.1.1.1: a server accepts an offer with this parameter by repeating it.
      if serverNoContextTakeover, !parameters.serverNoContextTakeover {
        throw .unconfirmedParameter(ParameterName.serverNoContextTakeover)
      }
      // §7.1.2.1: by the same value or a smaller one. Without the parameter, any window up to the largest is used.
      guard let offered = serverMaxWindowBits, offered < 15 else { return }
      guard let value = parameters.serverMaxWindowBits else {
        throw .unconfirmedParameter(ParameterName.serverMaxWindowBits)
      }
      if value > offered {
        throw .largerThanOffered(parameter: ParameterName.serverMaxWindowBits, offered: offered, value: value)
      }
    }
  }

  /// The parameters of an offer or a response, checked one by one (§7.1).
  ///
  /// Names and values are tokens, hence ASCII, so comparing them as strings compares their bytes.
  struct Parameters {
    var serverNoContextTakeover = false
    var clientNoContextTakeover = false
    var serverMaxWindowBits: Int?

    /// The inner nil is a parameter without a value, which only an offer may have.
    var clientMaxWindowBits: Int??

    init(_ element: ExtensionElement, isResponse: Bool) throws(ExtensionViolation) {
      var seen: Set<String> = []
      for parameter in element.parameters {
        // §7.1: an element with an unknown parameter, an invalid value, or the same parameter twice is declined.
        guard seen.insert(parameter.name).inserted else { throw .repeatedParameter(parameter.name) }
        switch parameter.name {
        case ParameterName.serverNoContextTakeover:
          try Self.requireNoValue(parameter)
          serverNoContextTakeover = true
        case ParameterName.clientNoContextTakeover:
          try Self.requireNoValue(parameter)
          clientNoContextTakeover = true
        case ParameterName.serverMaxWindowBits:
          serverMaxWindowBits = try Self.windowBits(parameter)
        case ParameterName.clientMaxWindowBits:
          // `.some(nil)`: nil would mean that the parameter is not there.
          clientMaxWindowBits = parameter.value == nil && !isResponse ? .some(nil) : try Self.windowBits(parameter)
        default:
          throw .unknownParameter(parameter.name)
        }
      }
    }

    private static func requireNoValue(_ parameter: ExtensionElement.Parameter) throws(ExtensionViolation) {
      if parameter.value != nil { throw .invalidValue(parameter: parameter.name, value: parameter.value) }
    }

    /// §7.1.2.1, §7.1.2.2: a decimal integer from 8 to 15 without leading zeroes.
    private static func windowBits(_ parameter: ExtensionElement.Parameter) throws(ExtensionViolation) -> Int {
      guard let value = parameter.value,
        let bits = PermessageDeflate.windowBits.first(where: { "\($0)" == value })
      else { throw .invalidValue(parameter: parameter.name, value: parameter.value) }
      return bits
    }
  }
}
