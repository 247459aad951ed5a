extension PermessageDeflate {
  /// Answers a client's offers as a server, with the resulting agreement.
  package struct Answer: Hashable, Sendable {
    package let agreement: Agreement

    /// The answer as it stands in `Sec-WebSocket-Extensions`.
    package let element: ExtensionElement
  }

  /// Accepts the first of a client's offers that can be accepted; `nil` if there is none (RFC 7692 §5.1, §7.1).
  ///
  /// `preference` is what the server would agree on if it were for the server alone: its own window and context, and
  /// what it asks of the client.
  package static func answer(
    to offers: [ExtensionElement], preference: Agreement = Agreement()
  ) -> Answer? {
    for offer in offers where offer.name == name {
      // §7.1: an offer that is not valid is declined; the next one may be.
      if let parameters = try? Parameters(offer, isResponse: false) { return answer(to: parameters, preference) }
    }
    return nil
  }

  private static func answer(to offer: Parameters, _ preference: Agreement) -> Answer {
    // §7.1.2.2: a client that did not offer the parameter cannot be asked for a smaller window.
    let clientMaxWindowBits = offer.clientMaxWindowBits.map { min(preference.clientMaxWindowBits, $0 ?? 15) } ?? 15
    let agreement = Agreement(
      serverNoContextTakeover: preference.serverNoContextTakeover || offer.serverNoContextTakeover,
      clientNoContextTakeover: preference.clientNoContextTakeover || offer.clientNoContextTakeover,
      serverMaxWindowBits: min(preference.serverMaxWindowBits, offer.serverMaxWindowBits ?? 15),
      clientMaxWindowBits: clientMaxWindowBits)
    var parameters: [ExtensionElement.Parameter] = []
    if agreement.serverNoContextTakeover { parameters.append(.init(ParameterName.serverNoContextTakeover)) }
    if agreement.clientNoContextTakeover { parameters.append(.init(ParameterName.clientNoContextTakeover)) }
    // §7.1.2.1: an offer with the parameter is accepted by repeating it, the largest window included.
    if agreement.serverMaxWindowBits < 15 || offer.serverMaxWindowBits != nil {
      parameters.append(.init(ParameterName.serverMaxWindowBits, "\(agreement.serverMaxWindowBits)"))
    }
    if agreement.clientMaxWindowBits < 15 {
      parameters.append(.init(ParameterName.clientMaxWindowBits, "\(agreement.clientMaxWindowBits)"))
    }
    return Answer(agreement: agreement, element: ExtensionElement(name, parameters))
  }
}
