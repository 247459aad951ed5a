internal import SidecarExecutor
public import SidecarProtocol

/// Steps that receive and wait, and steps that change a setting for the rest of the connection.
extension TestServer.Step {
  // MARK: Receiving

  /// Waits for a message.
  public static let receiveMessage = TestServer.Step("receiveMessage", .receive(.message))

  /// Waits for a message, and sends the messages that `answer` returns for it.
  ///
  /// - Parameter answer: Runs on the server's thread. The server's other connections wait for it.
  public static func receiveMessage(
    answering answer: @escaping @Sendable (WebSocketMessage) -> [WebSocketMessage]
  ) -> TestServer.Step {
    TestServer.Step("receiveMessage", .receive(.messageAndAnswer(answer)))
  }

  /// Waits for a Ping. It has been answered by then, unless ``ignorePings`` came before.
  public static let receivePing = TestServer.Step("receivePing", .receive(.ping))

  /// Waits for a Pong.
  public static let receivePong = TestServer.Step("receivePong", .receive(.pong))

  /// Waits for the client's Close frame. ``sendClose(_:reason:)`` or the end of the script answers it.
  public static let receiveClose = TestServer.Step("receiveClose", .receive(.close))

  /// Takes `count` bytes that the client sends before the connection is open, to act as a proxy.
  public static func receiveRaw(count: Int) -> TestServer.Step {
    TestServer.Step("receiveRaw", .receive(.bytes(count: count)))
  }

  /// Takes the bytes that the client sends before the connection is open, up to and including `end`, to act as a proxy.
  public static func receiveRaw(through end: String) -> TestServer.Step {
    precondition(!end.isEmpty, "receiveRaw(through:) cannot wait for an empty text. Use receiveRaw(count:).")
    return TestServer.Step("receiveRaw", .receive(.bytesThrough(Array(end.utf8))))
  }

  /// Waits until the client has ended its half of the stream.
  public static let waitForEndOfStream = TestServer.Step("waitForEndOfStream", .receive(.endOfStream))

  // MARK: Waiting

  /// Waits, and reads meanwhile.
  public static func wait(_ duration: Duration) -> TestServer.Step {
    TestServer.Step("wait", .wait(duration))
  }

  /// Waits until the gate is open, and reads meanwhile.
  public static func waitFor(_ gate: TestServer.Gate) -> TestServer.Step {
    TestServer.Step("waitFor", .waitFor(gate))
  }

  /// Stops reading and writing, for ever. The script does not go on.
  public static var stall: TestServer.Step { stall(nil) }

  /// Stops reading and writing for a time.
  ///
  /// - Parameter duration: How long; nil for ever.
  public static func stall(_ duration: Duration?) -> TestServer.Step {
    TestServer.Step("stall", .group(.stalled, [TestServer.Step("stall", .wait(duration))]))
  }

  // MARK: Settings

  /// Stops reading, until ``resumeReading``. The client's bytes fill the system's buffers, and then the client is
  /// blocked.
  public static let stopReading = TestServer.Step("stopReading", .set(.reads(false)))

  /// Reads again.
  public static let resumeReading = TestServer.Step("resumeReading", .set(.reads(true)))

  /// Leaves Pings unanswered, until ``answerPings``.
  public static let ignorePings = TestServer.Step("ignorePings", .set(.answersPings(false)))

  /// Answers Pings again.
  public static let answerPings = TestServer.Step("answerPings", .set(.answersPings(true)))

  /// Sets what the connection does when the script is over. Default: ``TestServer/FallbackBehavior/discard``.
  public static func `continue`(as fallback: TestServer.FallbackBehavior) -> TestServer.Step {
    TestServer.Step("continue", .set(.fallback(fallback)))
  }
}
