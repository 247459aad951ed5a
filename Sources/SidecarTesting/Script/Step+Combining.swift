/// Steps that end the connection, groups of steps, and shorthands.
extension TestServer.Step {
  // MARK: Ending

  /// Ends the server's half of the stream (FIN), and goes on reading.
  public static let endOfStream = TestServer.Step("endOfStream", .endStream)

  /// Resets the connection (RST). Output that has not reached the client's system is lost. Steps after it are not
  /// taken.
  public static let reset = TestServer.Step("reset", .reset)

  /// Closes the socket at once. The client sees an end of the stream, or a reset if the server has not read everything.
  /// Steps after it are not taken.
  public static let close = TestServer.Step("close", .close)

  /// Ends the stream as a server should (RFC 6455 §7.1.1): ends its own half, waits for the client to end the other one
  /// for at most ``TestServer/Options/endOfStreamGrace``, and closes the socket. Steps after it are not taken.
  public static let finish = TestServer.Step("finish", .finish)

  // MARK: Groups

  /// Takes the steps, and writes their output with one system call at the end of the group.
  ///
  /// ```swift
  /// .together([.open, .send("right after the answer"), .ping()])
  /// ```
  public static func together(_ steps: [TestServer.Step]) -> TestServer.Step {
    TestServer.Step("together", .group(.together, steps))
  }

  /// Takes the steps, and writes their output in small pieces.
  ///
  /// - Parameters:
  ///   - chunk: The size of a piece, in bytes. Default: 1.
  ///   - interval: The time from one piece to the next. Default: 1 ms.
  public static func dribble(
    chunk: Int = 1, interval: Duration = .milliseconds(1), _ steps: [TestServer.Step]
  ) -> TestServer.Step {
    precondition(chunk > 0, "A piece of \(chunk) bytes cannot be sent: give at least 1.")
    return TestServer.Step("dribble", .group(.dribble(chunk: chunk, interval: interval), steps))
  }

  /// Sends bytes in small pieces.
  ///
  /// - Parameters:
  ///   - chunk: The size of a piece, in bytes. Default: 1.
  ///   - interval: The time from one piece to the next. Default: 1 ms.
  public static func dribble(
    _ bytes: some Sequence<UInt8>, chunk: Int = 1, interval: Duration = .milliseconds(1)
  ) -> TestServer.Step {
    dribble(chunk: chunk, interval: interval, [.sendRaw(bytes)])
  }

  /// Repeats the steps.
  ///
  /// - Parameter times: How often they are taken. Default: nil, without end.
  public static func `repeat`(times: Int? = nil, _ steps: [TestServer.Step]) -> TestServer.Step {
    precondition(
      times != nil || !steps.isEmpty,
      "An empty list of steps cannot be repeated without end. Give it a step, or use wait(_:).")
    return TestServer.Step("repeat", .group(.times(times), steps))
  }

  /// Repeats the steps for a time. A round that has begun is completed.
  public static func `repeat`(for duration: Duration, _ steps: [TestServer.Step]) -> TestServer.Step {
    precondition(!steps.isEmpty, "An empty list of steps cannot be repeated. Use wait(_:).")
    return TestServer.Step("repeat", .group(.lasting(duration), steps))
  }

  // MARK: Shorthands

  /// Receives the opening request, refuses it with a status other than 101, and ends the stream.
  ///
  /// `Content-Length` and `Connection: close` are added after `headers`.
  public static func refuse(
    status: Int, reason: String = "", headers: [TestServer.HeaderField] = [], body: String = ""
  ) -> TestServer.Step {
    let end = [
      TestServer.HeaderField("Content-Length", "\(body.utf8.count)"), TestServer.HeaderField("Connection", "close"),
    ]
    let answer = TestServer.Answer(status: status, reason: reason, headers: headers + end, body: Array(body.utf8))
    return TestServer.Step("refuse", .group(.once, [.answer { _ in answer }, .finish]))
  }

  /// Receives the opening request, and sends `bytes` instead of an answer. That does not open the connection.
  public static func answerRaw(_ bytes: some Sequence<UInt8>) -> TestServer.Step {
    TestServer.Step("answerRaw", .group(.once, [.receiveRequest, .sendRaw(bytes)]))
  }

  /// Receives the opening request, and sends `text` instead of an answer. That does not open the connection.
  public static func answerRaw(_ text: String) -> TestServer.Step {
    answerRaw(text.utf8)
  }

  /// Sends the start of a frame, and ends the connection in the middle of it.
  ///
  /// - Parameters:
  ///   - opcode: The frame's opcode. Default: 2, binary.
  ///   - announced: The length in the frame's header, in bytes.
  ///   - payload: The part of the payload that is sent.
  ///   - ending: The step that ends the connection. Default: ``endOfStream``.
  public static func cutMidFrame(
    opcode: UInt8 = 2, announced: UInt64 = 1000, payload: some Sequence<UInt8> = [1, 2, 3],
    ending: TestServer.Step = .endOfStream
  ) -> TestServer.Step {
    let frame = RawFrame(opcode: opcode, declaredLength: announced, payload: payload)
    return TestServer.Step("cutMidFrame", .group(.once, [.send(frame), ending]))
  }

  /// Sends a frame whose header announces a false length.
  ///
  /// If `announced` is too large, the client takes what follows for payload; if it is too small, it takes payload for
  /// frames.
  public static func lieAboutLength(
    opcode: UInt8 = 2, announced: UInt64, payload: some Sequence<UInt8>
  ) -> TestServer.Step {
    .send(RawFrame(opcode: opcode, declaredLength: announced, payload: payload))
  }

  // MARK: Misuse

  /// Traps on a script that can never go on: it waits for frames before it answers the opening request.
  static func checkOrder(of steps: [TestServer.Step]) {
    var isOpen = false
    check(steps, isOpen: &isOpen)
  }

  private static func check(_ steps: [TestServer.Step], isOpen: inout Bool) {
    for step in steps {
      switch step.action {
      case .answer, .choose: isOpen = true
      case .group(_, let steps): check(steps, isOpen: &isOpen)
      case .receive(.message), .receive(.messageAndAnswer), .receive(.ping), .receive(.pong), .receive(.close):
        precondition(
          isOpen, "The script's step '\(step)' waits for a frame, but the connection is not open. Put .open before it.")
      default: break
      }
    }
  }
}
