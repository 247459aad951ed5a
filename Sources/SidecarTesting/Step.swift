internal import SidecarExecutor
internal import SidecarProtocol

extension TestServer {
  /// One thing that a script does; see ``TestServer/Behavior/script(_:)``.
  ///
  /// ```swift
  /// let server = try TestServer(behavior: .script([
  ///   .open, .send("one"), .receiveMessage, .sendClose(4001, reason: "enough"), .receiveClose,
  /// ]))
  /// ```
  ///
  /// A step that writes is done when the system has taken its last byte; a step that receives, when what it waits for has
  /// come. Steps that receive take each message, Ping, Pong and Close frame once, in order.
  ///
  /// A script begins when the client has connected, and opens the WebSocket connection itself: by ``open``, by an answer
  /// of another kind, or not at all. What it writes before is not HTTP, and what it writes afterwards need not be frames.
  public struct Step: Sendable, CustomStringConvertible {
    /// What the script's end is described with, such as `receiveMessage`.
    public let description: String
    let action: Action

    init(_ description: String, _ action: Action) {
      self.description = description
      self.action = action
    }
  }

  /// Lets a test tell a script when to go on.
  ///
  /// ```swift
  /// let gate = TestServer.Gate()
  /// let server = try TestServer(behavior: .script([.open, .waitFor(gate), .reset]))
  /// // … bring the client where it should be …
  /// gate.open()
  /// ```
  ///
  /// Can be used from any thread, and by several connections. Once open it stays open.
  public final class Gate: Sendable {
    let opened = Promise<Void>()

    /// Makes a closed gate.
    public init() {}

    /// Lets every script that waits here, or will, go on.
    public func open() { opened.complete(()) }
  }

  /// What steps are made of.
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
    case continuation(Continuation)
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
