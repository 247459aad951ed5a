internal import SidecarExecutor
public import SidecarProtocol

/// Steps that answer the opening request and that send.
extension TestServer.Step {
  // MARK: The opening handshake

  /// Receives the opening request, and answers it as a server should (RFC 6455 §4.2.2).
  ///
  /// An invalid request is answered with 400 or 426, and the script is over.
  public static var open: TestServer.Step { open() }

  /// Receives the opening request, and answers it with 101.
  ///
  /// ```swift
  /// .open { answer, request in answer["Sec-WebSocket-Accept"] = "not what you expect" }
  /// ```
  ///
  /// - Parameters:
  ///   - subprotocol: The subprotocol in the answer, offered or not. Default: the first one offered that is in
  ///     ``TestServer/Options/subprotocols``.
  ///   - headers: Fields that are added after those of the handshake.
  ///   - edit: Changes the answer before it is sent, for example to make it wrong.
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

  /// Receives the opening request, and leaves the answer to a later step.
  public static let receiveRequest = TestServer.Step("receiveRequest", .receive(.request))

  /// Receives the opening request, and sends what `answer` returns. An answer with 101 opens the connection.
  public static func answer(
    with answer: @escaping @Sendable (TestServer.Request) -> TestServer.Answer
  ) -> TestServer.Step {
    TestServer.Step(
      "answer",
      .group(.once, [receiveRequest, TestServer.Step("answer", .answer { request, _ in answer(request) })]))
  }

  // MARK: Sending

  /// Sends a message, compressed if that is agreed on.
  ///
  /// - Parameter fragmentSize: The most payload bytes of a fragment (RFC 6455 §5.4). Default: nil, one frame.
  public static func send(_ message: WebSocketMessage, fragmentSize: Int? = nil) -> TestServer.Step {
    TestServer.Step("send", .message(message, fragmentSize: fragmentSize.map { max(1, $0) }))
  }

  /// Sends a frame, valid or not.
  public static func send(_ frame: RawFrame) -> TestServer.Step {
    TestServer.Step("send", .frame(frame))
  }

  /// Sends bytes as they are.
  public static func sendRaw(_ bytes: some Sequence<UInt8>) -> TestServer.Step {
    TestServer.Step("sendRaw", .write(Array(bytes)))
  }

  /// Sends text as it is, in UTF-8, for example HTTP.
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

  /// Sends a Close frame, either the first one or the answer to the client's (RFC 6455 §5.5.1).
  ///
  /// Once the script is over and both Close frames are exchanged, the server ends the stream. Traps on a code that must
  /// not be on the wire: send that with ``send(_:)-(RawFrame)``.
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
}
