public import SidecarProtocol

extension TestServer {
  /// What a server does with one connection.
  ///
  /// Every behaviour is a script (see ``Step``), and ends in one of the plain ones: ``echo``, ``discard``, ``silent``,
  /// ``respond(with:)`` or ``fireHose(message:count:)``.
  public struct Behavior: Sendable {
    let steps: [Step]

    init(_ steps: [Step]) {
      Step.checkOrder(of: steps)
      self.steps = steps
    }

    /// Sends every message back as it came, text as text and binary as binary.
    ///
    /// Answers Pings and the client's Close. Reads no further while the client does not read what is sent back.
    public static var echo: Behavior { Behavior([.open, .continue(as: .echo)]) }

    /// Reads everything and sends nothing but the answers to Pings and to the client's Close.
    public static var discard: Behavior { Behavior([.open, .continue(as: .discard)]) }

    /// Opens the connection and reads, but sends nothing any more: no Pong, no Close, no end of the stream.
    ///
    /// The connection lives until the client resets it or the server stops.
    public static var silent: Behavior { Behavior([.open, .continue(as: .silent)]) }

    /// Accepts the TCP connection and neither reads nor writes, ever: the opening handshake is not answered.
    public static var acceptOnly: Behavior { Behavior([.stall]) }

    /// Answers each message with the messages that `answer` returns for it; Pings and Close as ``echo`` does.
    ///
    /// `answer` runs on the server's thread, and holds up all its connections.
    public static func respond(
      with answer: @escaping @Sendable (WebSocketMessage) -> [WebSocketMessage]
    ) -> Behavior {
      Behavior([.open, .continue(as: .respond(with: answer))])
    }

    /// Sends `message` over and over, as fast as the client takes it: `count` times, or without an end.
    ///
    /// Many frames are written with one system call. Reads meanwhile, and answers Pings and the client's Close, which
    /// ends it. After the last message it goes on as ``discard``.
    public static func fireHose(message: WebSocketMessage, count: Int? = nil) -> Behavior {
      Behavior([.open, .continue(as: .fireHose(message: message, count: count))])
    }

    /// Takes the steps, one after the other, and goes on as ``discard``, unless the script says otherwise by
    /// ``Step/continue(as:)`` or ends the connection.
    ///
    /// While a script runs the server does what it says and nothing else, except that it answers Pings (see
    /// ``Step/ignorePings``). It reads all the time (see ``Step/stopReading``), but a Close frame from the client is left
    /// to the script.
    ///
    /// A script whose next step can't be done any more, because the client has closed, broken the protocol or ended the
    /// stream, is over. The server then answers what there is to answer.
    public static func script(_ steps: [Step]) -> Behavior {
      Behavior(steps)
    }

    /// Answers the opening request with a status other than 101 and ends the stream; see
    /// ``Step/refuse(status:reason:headers:body:)``.
    public static func refuse(
      status: Int, reason: String = "", headers: [HeaderField] = [], body: String = ""
    ) -> Behavior {
      Behavior([.refuse(status: status, reason: reason, headers: headers, body: body)])
    }
  }

  /// What a connection does between scripts.
  public struct Continuation: Sendable {
    enum Kind: Sendable {
      case echo
      case discard
      case silent
      case respond(@Sendable (WebSocketMessage) -> [WebSocketMessage])
      case fireHose(WebSocketMessage, count: Int?)
    }

    let kind: Kind

    /// As ``TestServer/Behavior/echo``.
    public static let echo = Continuation(kind: .echo)
    /// As ``TestServer/Behavior/discard``.
    public static let discard = Continuation(kind: .discard)
    /// As ``TestServer/Behavior/silent``.
    public static let silent = Continuation(kind: .silent)
    /// As ``TestServer/Behavior/respond(with:)``.
    public static func respond(
      with answer: @escaping @Sendable (WebSocketMessage) -> [WebSocketMessage]
    ) -> Continuation {
      Continuation(kind: .respond(answer))
    }
    /// As ``TestServer/Behavior/fireHose(message:count:)``.
    public static func fireHose(message: WebSocketMessage, count: Int? = nil) -> Continuation {
      Continuation(kind: .fireHose(message, count: count))
    }
  }
}
