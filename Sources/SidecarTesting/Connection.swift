internal import SidecarExecutor
public import SidecarProtocol

extension TestServer {
  /// One connection that a server has accepted: what has been seen of it, and a hand on it.
  ///
  /// Everything can be used from any thread, and after the connection has ended. What is read is as the server's thread
  /// last left it: when a client has received an answer, what led to it can be seen here.
  public final class Connection: Sendable {
    /// Which one it is, from 0 on in the order in which they were accepted.
    public let index: Int

    let log: ObservableState<ConnectionLog>
    private let perform: @Sendable ([Step]) -> Void

    init(index: Int, room: Int, perform: @escaping @Sendable ([Step]) -> Void) {
      self.index = index
      self.perform = perform
      log = ObservableState(ConnectionLog(room: room))
    }

    // MARK: What has been seen

    /// The opening request; nil before it has come whole, or if it is none.
    public var request: Request? { log.read(\.request) }

    /// What is wrong with the opening request; nil if nothing is.
    public var requestViolation: String? { log.read(\.requestViolation) }

    /// Whether the server has answered the opening request with 101.
    public var isOpen: Bool { log.read(\.isOpen) }

    /// The messages received, oldest first.
    public var messages: [WebSocketMessage] { log.read(\.messages) }

    /// How many messages have been received, those that were not kept included.
    public var messageCount: Int { log.read(\.messageCount) }

    /// The payloads of the Pings received.
    public var pings: [[UInt8]] { log.read(\.pings) }

    /// The payloads of the Pongs received.
    public var pongs: [[UInt8]] { log.read(\.pongs) }

    /// The headers of the frames received, as they were on the wire.
    public var frames: [ReceivedFrame] { log.read(\.frames) }

    /// The client's Close frame; nil while none has come.
    public var receivedClose: ReceivedClose? { log.read(\.close) }

    /// What the client did against the protocol; nil if nothing.
    public var violation: String? { log.read(\.violation) }

    /// What ``Step/receiveRaw(count:)`` and ``Step/receiveRaw(through:)`` have taken.
    public var rawInput: [[UInt8]] { log.read(\.rawInput) }

    /// The bytes that came behind the client's Close frame, where none should (RFC 6455 §5.5.1).
    public var bytesAfterClose: [UInt8] { log.read(\.bytesAfterClose) }

    /// How many bytes have been read from the socket.
    public var bytesReceived: Int { log.read(\.bytesReceived) }

    /// How many bytes the system has taken to be sent.
    public var bytesSent: Int { log.read(\.bytesSent) }

    /// Whether the server has something to send that the system does not take, because the client does not read.
    public var sendingIsBlocked: Bool { log.read(\.sendingIsBlocked) }

    /// How far the script has come; with ``perform(_:)``, the latest one.
    public var script: ScriptStatus { log.read(\.script) }

    /// How the connection ended; nil while it has not.
    public var ending: Ending? { log.read(\.ending) }

    /// Whether something was seen and not kept: see ``TestServer/Options/recordedBytes``.
    public var isTruncated: Bool { log.read(\.isTruncated) }

    // MARK: What to do

    /// Takes the steps, when the connection's script is over, or at once if it is; returns without waiting for them.
    ///
    /// Meanwhile the connection does what they say and nothing else, as in a script, and afterwards it goes on as before.
    /// What the client has sent by then is dealt with first. Does nothing on a connection that has ended.
    ///
    /// ```swift
    /// let connection = try await server.connection(0)
    /// connection.perform([.send("now"), .sendClose(4000)])
    /// ```
    public func perform(_ steps: [Step]) {
      let isOver = log.update { log in
        if log.isOver { return true }
        log.script = .running
        log.scriptsGiven += 1
        return false
      }
      if !isOver { perform(steps) }
    }
  }
}
