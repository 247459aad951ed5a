public import SidecarProtocol

extension TestServer {
  /// A Close frame that the client sent.
  public struct ReceivedClose: Sendable, Hashable, CustomStringConvertible {
    /// The code; nil if the frame was empty.
    public let code: CloseCode?
    /// The reason, often empty.
    public let reason: String

    /// Makes one to compare with.
    public init(code: CloseCode?, reason: String = "") {
      self.code = code
      self.reason = reason
    }

    /// The code and the reason.
    public var description: String {
      "\(code.map(String.init(describing:)) ?? "no code")\(reason.isEmpty ? "" : " \(reason.debugDescription)")"
    }
  }

  /// How a connection ended, as the server saw it.
  public struct Ending: Sendable, Hashable, CustomStringConvertible {
    /// How the client's half of the stream ended.
    public enum Stream: Sendable, Hashable {
      /// The client ended it (FIN).
      case endOfStream
      /// The client broke it (RST).
      case reset
      /// It had not ended when the server closed the socket: by a script's wish, when it stopped, or when its patience
      /// was over.
      case closedByServer
    }

    /// How the stream ended.
    public let stream: Stream
    /// The client's Close frame; nil if none had come by then.
    public let close: ReceivedClose?
    /// Whether both Close frames were exchanged ("cleanly", RFC 6455 §7.1.4).
    public let isClean: Bool

    /// Makes one to compare with.
    public init(stream: Stream, close: ReceivedClose?, isClean: Bool) {
      self.stream = stream
      self.close = close
      self.isClean = isClean
    }

    /// How the stream ended, what the Close frame said, and whether the end was clean.
    public var description: String {
      let frame = close.map { "Close frame with \($0)" } ?? "no Close frame"
      return "\(stream), \(frame), \(isClean ? "clean" : "not clean")"
    }
  }

  /// How far a connection's script has come.
  public enum ScriptStatus: Sendable, Hashable {
    /// Steps are left.
    case running
    /// All steps have been taken.
    case finished
    /// The connection ended, or came into a state in which this step could not be taken any more.
    case cutShort(at: String)
  }

  /// What a server has seen of one connection.
  struct ConnectionLog: Sendable {
    var request: Request?
    var requestViolation: String?
    var isOpen = false
    var messages: [WebSocketMessage] = []
    var messageCount = 0
    var pings: [[UInt8]] = []
    var pongs: [[UInt8]] = []
    var frames: [ReceivedFrame] = []
    var close: ReceivedClose?
    var violation: String?
    var rawInput: [[UInt8]] = []
    var bytesAfterClose: [UInt8] = []
    var bytesReceived = 0
    var bytesSent = 0
    var sendingIsBlocked = false
    var script = ScriptStatus.running
    /// How many scripts the connection has been given, its behaviour's included.
    var scriptsGiven = 1
    var ending: Ending?
    /// Nothing changes any more: the descriptor has been given back.
    var isOver = false
    /// Whether something was not kept, because there was too much of it.
    var isTruncated = false
    /// How many bytes may still be kept.
    var room: Int

    private static let overhead = 64

    init(room: Int) {
      self.room = room
    }

    /// Whether a piece of so many bytes is to be kept.
    mutating func hasRoom(for byteCount: Int) -> Bool {
      guard room >= byteCount + Self.overhead else {
        room = 0
        isTruncated = true
        return false
      }
      room -= byteCount + Self.overhead
      return true
    }
  }
}
