/// How steps are put together, how a connection ends, and short names for what is often wanted.
extension TestServer.Step {
  // MARK: Ending

  /// Ends the server's half of the stream (FIN), and still reads.
  public static let endOfStream = TestServer.Step("endOfStream", .endStream)

  /// Breaks the connection (RST). What has not reached the client's system yet is lost. Nothing comes after it.
  public static let reset = TestServer.Step("reset", .reset)

  /// Closes the socket at once: an end of the stream, or a reset if the server has not read everything. Nothing comes
  /// after it.
  public static let close = TestServer.Step("close", .close)

  /// Ends the stream as a server should (RFC 6455 §7.1.1): its own half first, and then, when the client has ended the
  /// other one or ``TestServer/Options/endOfStreamGrace`` is over, the connection. Nothing comes after it.
  public static let finish = TestServer.Step("finish", .finish)

  // MARK: Groups

  /// Takes the steps, and writes what they send with one system call at the end of the group.
  ///
  /// ```swift
  /// .together([.open, .send("right behind the answer"), .ping()])
  /// ```
  public static func together(_ steps: [TestServer.Step]) -> TestServer.Step {
    TestServer.Step("together", .group(.together, steps))
  }

  /// Takes the steps, and writes what they send in pieces of `chunk` bytes, one each `interval`.
  public static func dribble(
    chunk: Int = 1, interval: Duration = .milliseconds(1), _ steps: [TestServer.Step]
  ) -> TestServer.Step {
    precondition(chunk > 0, "A piece of \(chunk) bytes cannot be sent: give at least 1.")
    return TestServer.Step("dribble", .group(.dribble(chunk: chunk, interval: interval), steps))
  }

  /// Sends bytes in pieces of `chunk` bytes, one each `interval`.
  public static func dribble(
    _ bytes: some Sequence<UInt8>, chunk: Int = 1, interval: Duration = .milliseconds(1)
  ) -> TestServer.Step {
    dribble(chunk: chunk, interval: interval, [.sendRaw(bytes)])
  }

  /// Takes the steps `times` times, or without an end.
  public static func `repeat`(times: Int? = nil, _ steps: [TestServer.Step]) -> TestServer.Step {
    precondition(times != nil || !steps.isEmpty, "Nothing can't be repeated without an end.")
    return TestServer.Step("repeat", .group(.times(times), steps))
  }

  /// Takes the steps over and over, and begins them no more once `duration` has passed.
  public static func `repeat`(for duration: Duration, _ steps: [TestServer.Step]) -> TestServer.Step {
    precondition(!steps.isEmpty, "Nothing can't be repeated for a time. Use wait(_:).")
    return TestServer.Step("repeat", .group(.lasting(duration), steps))
  }

  // MARK: Short names

  /// Receives the opening request, refuses it with a status other than 101, and ends the stream.
  ///
  /// `Content-Length` and `Connection: close` are added behind `headers`.
  public static func refuse(
    status: Int, reason: String = "", headers: [TestServer.HeaderField] = [], body: String = ""
  ) -> TestServer.Step {
    let end = [
      TestServer.HeaderField("Content-Length", "\(body.utf8.count)"), TestServer.HeaderField("Connection", "close"),
    ]
    let answer = TestServer.Answer(status: status, reason: reason, headers: headers + end, body: Array(body.utf8))
    return TestServer.Step("refuse", .group(.once, [.answer { _ in answer }, .finish]))
  }

  /// Receives the opening request, and sends `bytes` instead of an answer. The connection is not open then.
  public static func answerRaw(_ bytes: some Sequence<UInt8>) -> TestServer.Step {
    TestServer.Step("answerRaw", .group(.once, [.receiveRequest, .sendRaw(bytes)]))
  }

  /// Receives the opening request, and sends `text` instead of an answer. The connection is not open then.
  public static func answerRaw(_ text: String) -> TestServer.Step {
    answerRaw(text.utf8)
  }

  /// Announces a frame of `announced` bytes, sends only `payload` of it, and ends the stream, or breaks it off with
  /// `ending: .reset`.
  public static func cutMidFrame(
    opcode: UInt8 = 2, announced: UInt64 = 1000, payload: some Sequence<UInt8> = [1, 2, 3],
    ending: TestServer.Step = .endOfStream
  ) -> TestServer.Step {
    let frame = RawFrame(opcode: opcode, declaredLength: announced, payload: payload)
    return TestServer.Step("cutMidFrame", .group(.once, [.send(frame), ending]))
  }

  /// Sends a frame whose header announces another length than its payload has: what follows is taken for a part of it,
  /// or the rest of it for frames.
  public static func lieAboutLength(
    opcode: UInt8 = 2, announced: UInt64, payload: some Sequence<UInt8>
  ) -> TestServer.Step {
    .send(RawFrame(opcode: opcode, declaredLength: announced, payload: payload))
  }

  // MARK: Misuse

  /// Stops at a script that can never go on: it waits for frames and has not answered the opening request.
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
