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
      /// The server closed the socket first: a script said so, the server stopped, or
      /// ``TestServer/Options/endOfStreamGrace`` was over.
      case closedByServer
    }

    /// How the stream ended.
    public let stream: Stream
    /// The client's Close frame; nil if none had arrived by then.
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
}
