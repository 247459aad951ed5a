internal import SidecarExecutor
internal import SidecarProtocol
internal import SidecarTransport

/// What the layers below report, in the terms of the public API.
extension WebSocketError {
  /// Converts the reason why there is no stream.
  init(_ failure: Connector.Failure) {
    self =
      switch failure {
      case .resolution(let error): .resolutionFailed(error)
      case .connect(let error): .connectFailed(error)
      case .system(let error): .systemResources(error)
      case .timedOut(.resolve): .timedOut(.resolution)
      case .timedOut(.connect): .timedOut(.connect)
      case .invalidEndpoint(let reason): .invalidConfiguration(reason: reason)
      }
  }

  /// A response that does not open the connection.
  init(_ violation: HandshakeViolation) {
    switch violation {
    case .refused(let refusal): self = .handshakeRefused(HandshakeRefusal(refusal))
    default: self = .handshakeFailed(reason: violation.description)
    }
  }

  /// A kernel that has no random bytes to give.
  init(_ error: RandomnessError) {
    self = .systemResources(SystemError(RandomnessError.call, code: error.code))
  }

  /// What the peer did on an open connection: it broke the protocol, or exceeded a limit of `configuration`.
  init(_ violation: ProtocolViolation, configuration: WebSocketConfiguration) {
    guard violation.isOwnLimit else {
      self = .protocolViolation(code: violation.closeCode, reason: violation.summary)
      return
    }
    self = .limitExceeded(code: violation.closeCode, reason: Self.reason(of: violation.rule, configuration))
  }

  private static func reason(of rule: ProtocolViolation.Rule, _ configuration: WebSocketConfiguration) -> String {
    switch rule {
    case .tooManyFragments(let limit):
      return exceeded("message of more fragments than", "maximumFragmentsPerMessage", "\(limit)")
    case .frameTooLarge(let length, let limit) where configuration.maximumFrameSize != nil:
      return exceeded("frame of \(length) bytes, larger than", "maximumFrameSize", "\(limit) bytes")
    case .frameTooLarge(_, let limit), .messageTooLarge(let limit):
      return exceeded("message larger than", "maximumMessageSize", "\(limit) bytes")
    default:
      return "a limit was exceeded"
    }
  }

  private static func exceeded(_ what: String, _ property: String, _ limit: String) -> String {
    "a \(what) \(property) (\(limit)) arrived; raise WebSocketConfiguration.\(property) to accept it"
  }
}
