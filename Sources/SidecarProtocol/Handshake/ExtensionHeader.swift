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

  /// Reads an element; nil if it is not as §9.1 says. All its names and values are tokens, so they are ASCII.
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
    text.withUTF8Bytes { bytes in
      guard let (before, after) = bytes.cut(at: UInt8(ascii: "=")) else {
        return bytes.isHTTPToken ? Parameter(text) : nil
      }
      let name = before.trimmingHTTPWhitespace
      var value = after.trimmingHTTPWhitespace
      let quote = UInt8(ascii: "\"")
      if value.count >= 2, value.first == quote, value.last == quote {
        // §9.1: a value may be quoted, and must be a token without its quotes, so there is nothing to unescape.
        value = UnsafeRawBufferPointer(rebasing: value.dropFirst().dropLast())
      }
      guard name.isHTTPToken, value.isHTTPToken else { return nil }
      return Parameter(String(decoding: name, as: UTF8.self), String(decoding: value, as: UTF8.self))
    }
  }
}

extension ExtensionElement: CustomStringConvertible {
  /// The element as it is written in the header.
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
  /// The client requires the parameter, and the response does not have it.
  case unconfirmedParameter(String)
  /// The client requires at most `offered`.
  case largerThanOffered(parameter: String, offered: Int, value: Int)
}

extension ExtensionViolation: CustomStringConvertible {
  package var description: String {
    switch self {
    case .malformed(let text): "an extension is malformed: \(text.quotedForDisplay) (RFC 6455 §9.1)"
    case .unknownParameter(let name): "permessage-deflate has no parameter \(name.quotedForDisplay) (RFC 7692 §7.1)"
    case .repeatedParameter(let name):
      "the parameter \(name.escapedForDisplay) appears more than once (RFC 7692 §7.1)"
    case .invalidValue(let name, let value?):
      "the parameter \(name.escapedForDisplay) has the invalid value \(value.quotedForDisplay) (RFC 7692 §7.1)"
    case .invalidValue(let name, nil): "the parameter \(name.escapedForDisplay) has no value (RFC 7692 §7.1)"
    case .unconfirmedParameter(let name):
      "the response does not confirm the parameter \(name.escapedForDisplay), which is required (RFC 7692 §7.1)"
    case .largerThanOffered(let name, let offered, let value):
      "the parameter \(name.escapedForDisplay) is \(value), larger than the \(offered) offered, which is required "
        + "(RFC 7692 §7.1.2.1)"
    }
  }
}
