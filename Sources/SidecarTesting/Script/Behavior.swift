public import SidecarProtocol

extension TestServer {
  /// What a server does with one connection.
  ///
  /// Every behavior is a script (see ``Step``), followed by a fallback behavior, such as ``echo`` or ``discard``, that
  /// goes on for the rest of the connection.
  ///
  /// ```swift
  /// let server = try TestServer(behavior: .script([.open, .send("hello"), .continue(as: .echo)]))
  /// ```
  public struct Behavior: Sendable {
    let steps: [Step]

    init(_ steps: [Step]) {
      Step.checkOrder(of: steps)
      self.steps = steps
    }

    /// Sends every message back, text as text and binary as binary.
    ///
    /// Answers Pings and the client's Close. Stops reading while the client does not read what is sent back.
    public static var echo: Behavior { Behavior([.open, .continue(as: .echo)]) }

    /// Reads everything, and sends nothing but the answers to Pings and to the client's Close.
    public static var discard: Behavior { Behavior([.open, .continue(as: .discard)]) }

    /// Opens the connection and reads, but sends nothing more: no Pong, no Close, no end of the stream.
    ///
    /// The connection lives until the client resets it or the server stops.
    public static var silent: Behavior { Behavior([.open, .continue(as: .silent)]) }

    /// Accepts the TCP connection, and never reads or writes: the opening request is not answered.
    public static var acceptOnly: Behavior { Behavior([.stall]) }

    /// Answers each message with the messages that `answer` returns for it; Pings and Close as ``echo`` does.
    ///
    /// - Parameter answer: Runs on the server's thread. The server's other connections wait for it.
    public static func respond(
      with answer: @escaping @Sendable (WebSocketMessage) -> [WebSocketMessage]
    ) -> Behavior {
      Behavior([.open, .continue(as: .respond(with: answer))])
    }

    /// Sends `message` repeatedly, as fast as the client reads it.
    ///
    /// Writes many frames with one system call. Reads meanwhile, and answers Pings and the client's Close, which ends
    /// the repetition. After the last message it goes on as ``discard``.
    ///
    /// - Parameters:
    ///   - message: The message to repeat.
    ///   - count: How often it is sent. Default: nil, without end.
    public static func fireHose(message: WebSocketMessage, count: Int? = nil) -> Behavior {
      Behavior([.open, .continue(as: .fireHose(message: message, count: count))])
    }

    /// Takes the steps in order, and then goes on as ``discard``, unless the script says otherwise with
    /// ``Step/continue(as:)`` or ends the connection.
    ///
    /// While a script runs, the server does what it says and nothing else, with two exceptions: it answers Pings (see
    /// ``Step/ignorePings``), and it reads (see ``Step/stopReading``). It leaves the client's Close frame to the
    /// script.
    ///
    /// A script is over when its next step is impossible, because the client has closed, violated the protocol or ended
    /// the stream. The server then answers what is unanswered.
    public static func script(_ steps: [Step]) -> Behavior {
      Behavior(steps)
    }

    /// Answers the opening request with a status other than 101, and ends the stream; see
    /// ``Step/refuse(status:reason:headers:body:)``.
    public static func refuse(
      status: Int, reason: String = "", headers: [HeaderField] = [], body: String = ""
    ) -> Behavior {
      Behavior([.refuse(status: status, reason: reason, headers: headers, body: body)])
    }
  }
}
