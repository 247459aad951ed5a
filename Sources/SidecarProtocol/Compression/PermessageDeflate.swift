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

  /// What both endpoints do from now on.
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

    package init(
      serverNoContextTakeover: Bool = false, clientNoContextTakeover: Bool = false, serverMaxWindowBits: Int? = nil,
      clientMaxWindowBits: Int = 15
    ) {
      let range = PermessageDeflate.windowBits
      precondition(
        range.contains(clientMaxWindowBits) && serverMaxWindowBits.map(range.contains) ?? true,
        "Window bits are from 8 to 15 (RFC 7692 §7.1.2).")
      self.serverNoContextTakeover = serverNoContextTakeover
      self.clientNoContextTakeover = clientNoContextTakeover
      self.serverMaxWindowBits = serverMaxWindowBits
      self.clientMaxWindowBits = clientMaxWindowBits
    }

    /// The offer as it stands in `Sec-WebSocket-Extensions`.
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

    /// What the server's answer to this offer comes to; throws what is wrong with the answer (§7.1).
    package func agreement(_ answer: ExtensionElement) throws(ExtensionViolation) -> Agreement {
      let parameters = try Parameters(answer, isAnswer: true)
      // §7.1.1.1, §7.1.2.1: a server accepts an offer with these parameters by repeating them.
      if serverNoContextTakeover, !parameters.serverNoContextTakeover {
        throw .unconfirmedParameter(ParameterName.serverNoContextTakeover)
      }
      if let offered = serverMaxWindowBits {
        guard let answered = parameters.serverMaxWindowBits else {
          throw .unconfirmedParameter(ParameterName.serverMaxWindowBits)
        }
        // §7.1.2.1: by the same value or a smaller one.
        guard answered <= offered else {
          throw .invalidValue(parameter: ParameterName.serverMaxWindowBits, value: "\(answered)")
        }
      }
      // §7.1.1.1, §7.1.1.2, §7.1.2.1: the others may come unasked. This endpoint always offers client_max_window_bits,
      // so §7.1.2.2 lets the answer have it too.
      return Agreement(
        serverNoContextTakeover: parameters.serverNoContextTakeover,
        clientNoContextTakeover: clientNoContextTakeover || parameters.clientNoContextTakeover,
        serverMaxWindowBits: parameters.serverMaxWindowBits ?? 15,
        clientMaxWindowBits: min(clientMaxWindowBits, parameters.clientMaxWindowBits.flatMap { $0 } ?? 15))
    }
  }

  /// The parameters of an offer or an answer, checked one by one (§7.1).
  struct Parameters {
    var serverNoContextTakeover = false
    var clientNoContextTakeover = false
    var serverMaxWindowBits: Int?

    /// The inner optional is a parameter without a value, which only an offer may have.
    var clientMaxWindowBits: Int??

    init(_ element: ExtensionElement, isAnswer: Bool) throws(ExtensionViolation) {
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
          // `.some(nil)`, and not `nil`, which would say that the parameter is not there.
          clientMaxWindowBits = parameter.value == nil && !isAnswer ? .some(nil) : try Self.windowBits(parameter)
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
