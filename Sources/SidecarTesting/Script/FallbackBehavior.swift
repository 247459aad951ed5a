public import SidecarProtocol

extension TestServer {
  /// What a connection does after its script, and between scripts; see ``Step/continue(as:)``.
  public struct FallbackBehavior: Sendable {
    enum Kind: Sendable {
      case echo
      case discard
      case silent
      case respond(@Sendable (WebSocketMessage) -> [WebSocketMessage])
      case fireHose(WebSocketMessage, count: Int?)
    }

    let kind: Kind

    /// Does what ``TestServer/Behavior/echo`` does.
    public static let echo = FallbackBehavior(kind: .echo)

    /// Does what ``TestServer/Behavior/discard`` does.
    public static let discard = FallbackBehavior(kind: .discard)

    /// Does what ``TestServer/Behavior/silent`` does.
    public static let silent = FallbackBehavior(kind: .silent)

    /// Does what ``TestServer/Behavior/respond(with:)`` does.
    public static func respond(
      with answer: @escaping @Sendable (WebSocketMessage) -> [WebSocketMessage]
    ) -> FallbackBehavior {
      FallbackBehavior(kind: .respond(answer))
    }

    /// Does what ``TestServer/Behavior/fireHose(message:count:)`` does.
    public static func fireHose(message: WebSocketMessage, count: Int? = nil) -> FallbackBehavior {
      FallbackBehavior(kind: .fireHose(message, count: count))
    }
  }
}
