/// One element of a `Sec-WebSocket-Extensions` header: an extension and its parameters (RFC 6455 §9.1).
package struct ExtensionElement: Hashable, Sendable {
  package struct Parameter: Hashable, Sendable {
    package let name: String
    package let value: String?

    package init(_ name: String, _ value: String? = nil) {
      self.name = name
      self.value = value
    }
  }

  package let name: String
  package let parameters: [Parameter]

  package init(_ name: String, _ parameters: [Parameter] = []) {
    self.name = name
    self.parameters = parameters
  }

  /// Reads an element; `nil` if it is not formed as §9.1 says.
  package init?(parsing text: String) {
    var parts: [String] = []
    text.forEachPart(separatedBy: UInt8(ascii: ";")) { parts.append(String(decoding: $0, as: UTF8.self)) }
    guard let name = parts.first, name.isHTTPToken else { return nil }
    var parameters: [Parameter] = []
    for part in parts.dropFirst() {
      guard let parameter = Self.parameter(parsing: part) else { return nil }
      parameters.append(parameter)
    }
    self.init(name, parameters)
  }

  private static func parameter(parsing text: String) -> Parameter? {
    guard let equals = text.firstIndex(of: "=") else { return text.isHTTPToken ? Parameter(text) : nil }
    let name = String(text[..<equals]).trimmingHTTPWhitespace
    var value = String(text[text.index(after: equals)...]).trimmingHTTPWhitespace
    if value.count >= 2, value.hasPrefix("\""), value.hasSuffix("\"") {
      // §9.1: a value may be quoted, and is a token without its quotes; so there is nothing to unescape in a valid one.
      value = String(value.dropFirst().dropLast())
    }
    return name.isHTTPToken && value.isHTTPToken ? Parameter(name, value) : nil
  }
}

extension ExtensionElement: CustomStringConvertible {
  /// The element as it stands in the header.
  package var description: String {
    parameters.reduce(name) { text, parameter in
      "\(text); \(parameter.name)" + (parameter.value.map { "=\($0)" } ?? "")
    }
  }
}

/// What is wrong with the parameters of an extension.
package enum ExtensionViolation: Error, Hashable, Sendable {
  case malformed(String)
  case unknownParameter(String)
  case repeatedParameter(String)
  case invalidValue(parameter: String, value: String?)
  case unconfirmedParameter(String)
}

extension ExtensionViolation: CustomStringConvertible {
  package var description: String {
    switch self {
    case .malformed(let text): "an extension is malformed: \"\(text)\" (RFC 6455 §9.1)"
    case .unknownParameter(let name): "permessage-deflate has no parameter \"\(name)\" (RFC 7692 §7.1)"
    case .repeatedParameter(let name): "the parameter \(name) appears more than once (RFC 7692 §7.1)"
    case .invalidValue(let name, let value?): "the parameter \(name) has the invalid value \"\(value)\" (RFC 7692 §7.1)"
    case .invalidValue(let name, nil): "the parameter \(name) has no value (RFC 7692 §7.1)"
    case .unconfirmedParameter(let name): "the answer does not confirm the parameter \(name) (RFC 7692 §7.1)"
    }
  }
}
