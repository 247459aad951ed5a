internal import SidecarExecutor
internal import SidecarProtocol

extension TestServer {
  /// One step of a script; see ``TestServer/Behavior/script(_:)``.
  ///
  /// ```swift
  /// let server = try TestServer(behavior: .script([
  ///   .open, .send("one"), .receiveMessage, .sendClose(4001, reason: "enough"), .receiveClose,
  /// ]))
  /// ```
  ///
  /// A step that writes is done when the system has taken its last byte. A step that receives is done when it has what
  /// it waits for. Each message, Ping, Pong and Close frame is consumed by one step, in order.
  ///
  /// A script begins when the client has connected. It opens the WebSocket connection itself, with ``open``, with
  /// another answer, or not at all. What it writes before that need not be HTTP, and what it writes afterwards need not
  /// be frames.
  public struct Step: Sendable, CustomStringConvertible {
    /// The name of the step, such as `receiveMessage`, for ``TestServer/ScriptProgress/cutShort(at:)``.
    public let description: String
    let action: Action

    init(_ description: String, _ action: Action) {
      self.description = description
      self.action = action
    }
  }

  /// What a step does.
  enum Action: Sendable {
    case write([UInt8])
    case message(WebSocketMessage, fragmentSize: Int?)
    case frame(RawFrame)
    case answer(@Sendable (Request, Options) -> Answer)
    case sendClose(ClosePayload, [UInt8])
    case receive(WaitCondition)
    case set(Setting)
    case wait(Duration?)
    case waitFor(Gate)
    case endStream
    case reset
    case close
    case finish
    case choose(@Sendable (Int, Request) -> Behavior)
    case group(Group, [Step])
  }

  /// What a step waits for.
  enum WaitCondition: Sendable {
    case request
    case message
    case messageAndAnswer(@Sendable (WebSocketMessage) -> [WebSocketMessage])
    case ping
    case pong
    case close
    case endOfStream
    case bytes(count: Int)
    case bytesThrough([UInt8])
  }

  /// What a step changes for the rest of the connection.
  enum Setting: Sendable {
    case reads(Bool)
    case answersPings(Bool)
    case fallback(FallbackBehavior)
  }

  /// How the steps of a group are taken.
  enum Group: Sendable {
    case once
    case together
    case dribble(chunk: Int, interval: Duration)
    case times(Int?)
    case lasting(Duration)
    case stalled
  }
}
