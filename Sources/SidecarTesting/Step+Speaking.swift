internal import SidecarExecutor
public import SidecarProtocol

/// The steps: what a script can say, each in one way.
extension TestServer.Step {
  // MARK: The opening handshake

  /// Receives the opening request, and answers it as a server should (RFC 6455 §4.2.2).
  ///
  /// A request that is none is answered with 400 or 426, and the script is over.
  public static var open: TestServer.Step { open() }

  /// Receives the opening request, and answers it with 101.
  ///
  /// `subprotocol` is chosen whether the client has offered it or not; by default the first one offered that is among
  /// ``TestServer/Options/subprotocols``. `headers` are added behind those of the handshake. `editing` can change
  /// everything before it is sent, which is where the answer can be made wrong:
  ///
  /// ```swift
  /// .open { answer, request in answer["Sec-WebSocket-Accept"] = "not what you expect" }
  /// ```
  public static func open(
    subprotocol: String? = nil, headers: [TestServer.HeaderField] = [],
    editing edit: (@Sendable (inout TestServer.Answer, TestServer.Request) -> Void)? = nil
  ) -> TestServer.Step {
    TestServer.Step(
      "open",
      .group(
        .once,
        [
          receiveRequest,
          TestServer.Step(
            "open",
            .answer { request, options in
              // RFC 6455 §4.2.2, item 5.5: one of those that the client offers, in its order, or none.
              let chosen =
                subprotocol
                ?? request.subprotocols.first { name in
                  options.subprotocols.contains(where: name.hasSameBytes)
                }
              var answer = TestServer.Answer(
                accepting: request, subprotocol: chosen,
                deflate: request.deflateAnswer(options.compression)?.element, headers: headers)
              edit?(&answer, request)
              return answer
            }),
        ]))
  }

  /// Receives the opening request, and does not answer it: the step after it may.
  public static let receiveRequest = TestServer.Step("receiveRequest", .receive(.request))

  /// Receives the opening request, and hands it to `answer`. An answer with 101 opens the connection, any other does not.
  public static func answer(
    with answer: @escaping @Sendable (TestServer.Request) -> TestServer.Answer
  ) -> TestServer.Step {
    TestServer.Step(
      "answer",
      .group(.once, [receiveRequest, TestServer.Step("answer", .answer { request, _ in answer(request) })]))
  }

  // MARK: Sending

  /// Sends a message in one frame, or in fragments of at most `fragmentSize` bytes (RFC 6455 §5.4); compressed, if that
  /// was agreed on.
  public static func send(_ message: WebSocketMessage, fragmentSize: Int? = nil) -> TestServer.Step {
    TestServer.Step("send", .message(message, fragmentSize: fragmentSize.map { max(1, $0) }))
  }

  /// Sends a frame, which may be wrong.
  public static func send(_ frame: RawFrame) -> TestServer.Step {
    TestServer.Step("send", .frame(frame))
  }

  /// Sends bytes as they are.
  public static func sendRaw(_ bytes: some Sequence<UInt8>) -> TestServer.Step {
    TestServer.Step("sendRaw", .write(Array(bytes)))
  }

  /// Sends text as it is, in UTF-8: for HTTP.
  public static func sendRaw(_ text: String) -> TestServer.Step {
    sendRaw(text.utf8)
  }

  /// Sends a Ping (RFC 6455 §5.5.2).
  public static func ping(_ payload: some Sequence<UInt8> = []) -> TestServer.Step {
    send(.ping(payload))
  }

  /// Sends a Pong, asked for or not (RFC 6455 §5.5.3).
  public static func pong(_ payload: some Sequence<UInt8> = []) -> TestServer.Step {
    send(.pong(payload))
  }

  /// Sends a Close frame, be it the first one or the answer to the client's (RFC 6455 §5.5.1).
  ///
  /// When the script is over and both Close frames are exchanged, the server ends the stream. Codes that must not be on
  /// the wire can be sent by ``send(_:)-(RawFrame)``.
  public static func sendClose(_ code: CloseCode? = .normalClosure, reason: String = "") -> TestServer.Step {
    guard let payload = try? ClosePayload(code, reason: reason) else {
      preconditionFailure(
        """
        A Close frame with the code \(code.map(String.init(describing:)) ?? "nil") and the reason \
        \(reason.debugDescription) must not be sent. To send it all the same, use .send(RawFrame.close(…)).
        """)
    }
    let bytes = payload.withUnsafeBytes { RawFrame(opcode: Opcode.connectionClose.rawValue, payload: $0).bytes }
    return TestServer.Step("sendClose", .sendClose(payload, bytes))
  }

  // MARK: Receiving

  /// Waits for a message.
  public static let receiveMessage = TestServer.Step("receiveMessage", .receive(.message))

  /// Waits for a message, and sends those that `answer` returns for it. It runs on the server's thread.
  public static func receiveMessage(
    answering answer: @escaping @Sendable (WebSocketMessage) -> [WebSocketMessage]
  ) -> TestServer.Step {
    TestServer.Step("receiveMessage", .receive(.messageAndAnswer(answer)))
  }

  /// Waits for a Ping, which has been answered unless ``ignorePings`` came before.
  public static let receivePing = TestServer.Step("receivePing", .receive(.ping))

  /// Waits for a Pong.
  public static let receivePong = TestServer.Step("receivePong", .receive(.pong))

  /// Waits for the client's Close frame, and does not answer it: the step after it may, and the end of the script does.
  public static let receiveClose = TestServer.Step("receiveClose", .receive(.close))

  /// Waits for so many bytes of the client's that come before the connection is open, and takes them: for proxies.
  public static func receiveRaw(count: Int) -> TestServer.Step {
    TestServer.Step("receiveRaw", .receive(.bytes(count: count)))
  }

  /// Waits for bytes of the client's, before the connection is open, up to and with `end`, and takes them: for proxies.
  public static func receiveRaw(through end: String) -> TestServer.Step {
    precondition(!end.isEmpty, "receiveRaw(through:) waits for some text, and the empty one is none.")
    return TestServer.Step("receiveRaw", .receive(.bytesThrough(Array(end.utf8))))
  }

  /// Waits until the client has ended its half of the stream.
  public static let waitForEndOfStream = TestServer.Step("waitForEndOfStream", .receive(.endOfStream))

  // MARK: Waiting

  /// Waits, reading meanwhile.
  public static func wait(_ duration: Duration) -> TestServer.Step {
    TestServer.Step("wait", .wait(duration))
  }

  /// Waits until the gate is opened, reading meanwhile.
  public static func waitFor(_ gate: TestServer.Gate) -> TestServer.Step {
    TestServer.Step("waitFor", .waitFor(gate))
  }

  /// Does nothing any more, for ever: neither reads nor writes. The script does not go on.
  public static var stall: TestServer.Step { stall(nil) }

  /// Neither reads nor writes for a while; nil is for ever.
  public static func stall(_ duration: Duration?) -> TestServer.Step {
    TestServer.Step("stall", .group(.stalled, [TestServer.Step("stall", .wait(duration))]))
  }

  // MARK: What holds from here on

  /// Reads no more, until ``resumeReading``: the client's bytes fill the system's buffers, and then hold it up.
  public static let stopReading = TestServer.Step("stopReading", .set(.reads(false)))

  /// Reads again.
  public static let resumeReading = TestServer.Step("resumeReading", .set(.reads(true)))

  /// Leaves Pings unanswered, until ``answerPings``.
  public static let ignorePings = TestServer.Step("ignorePings", .set(.answersPings(false)))

  /// Answers Pings again.
  public static let answerPings = TestServer.Step("answerPings", .set(.answersPings(true)))

  /// Says how the connection goes on when the script is over. Default: ``TestServer/Continuation/discard``.
  public static func `continue`(as continuation: TestServer.Continuation) -> TestServer.Step {
    TestServer.Step("continue", .set(.continuation(continuation)))
  }
}
