internal import SidecarExecutor
public import SidecarProtocol

extension TestServer {
  /// One connection that a server has accepted: what it has received, and a way to make it do more.
  ///
  /// Everything can be used from any thread, also after the connection has ended. The server publishes what it has
  /// received before it answers: once a client has an answer, what led to it can be read here.
  ///
  /// ```swift
  /// let connection = try await server.connection(0)
  /// #expect(try await connection.messages(count: 1) == ["hello"])
  /// connection.perform([.sendClose(.goingAway)])
  /// ```
  public final class Connection: Sendable {
    /// The position of the connection among all that the server accepted, from 0.
    public let index: Int

    let log: ObservableState<ConnectionLog>
    private let perform: @Sendable ([Step]) -> Void

    init(index: Int, recordedBytes: Int, perform: @escaping @Sendable ([Step]) -> Void) {
      self.index = index
      self.perform = perform
      log = ObservableState(ConnectionLog(capacity: recordedBytes))
    }

    // MARK: What was received

    /// The opening request; nil while it is incomplete, and if it is invalid.
    public var request: Request? { log.read(\.request) }

    /// What is wrong with the opening request; nil if nothing is.
    public var requestViolation: String? { log.read(\.requestViolation) }

    /// Whether the server has answered the opening request with 101.
    public var isOpen: Bool { log.read(\.isOpen) }

    /// The messages received, oldest first, as far as ``TestServer/Options/recordedBytes`` allows.
    public var messages: [WebSocketMessage] { log.read(\.messages) }

    /// The number of messages received, including those that were not kept.
    public var messageCount: Int { log.read(\.messageCount) }

    /// The payloads of the Pings received.
    public var pings: [[UInt8]] { log.read(\.pings) }

    /// The payloads of the Pongs received.
    public var pongs: [[UInt8]] { log.read(\.pongs) }

    /// The headers of the frames received, as they were on the wire.
    public var frames: [ReceivedFrame] { log.read(\.frames) }

    /// The client's Close frame; nil until it arrives.
    public var receivedClose: ReceivedClose? { log.read(\.close) }

    /// How the client violated the protocol; nil if it has not.
    public var violation: String? { log.read(\.violation) }

    /// The bytes taken by ``Step/receiveRaw(count:)`` and ``Step/receiveRaw(through:)``, an array for each step.
    public var rawInput: [[UInt8]] { log.read(\.rawInput) }

    /// The bytes that followed the client's Close frame, where none should (RFC 6455 §5.5.1).
    public var bytesAfterClose: [UInt8] { log.read(\.bytesAfterClose) }

    /// The number of bytes read from the socket.
    public var bytesReceived: Int { log.read(\.bytesReceived) }

    /// The number of bytes that the system has taken to send.
    public var bytesSent: Int { log.read(\.bytesSent) }

    /// Whether the server's output is blocked, because the client does not read.
    public var sendingIsBlocked: Bool { log.read(\.sendingIsBlocked) }

    /// The state of the script, or of the latest one that ``perform(_:)`` added.
    public var script: ScriptProgress { log.read(\.script) }

    /// How the connection ended; nil until it ends.
    public var ending: Ending? { log.read(\.ending) }

    /// Whether something was received and not kept; see ``TestServer/Options/recordedBytes``.
    public var isTruncated: Bool { log.read(\.isTruncated) }

    // MARK: What to do

    /// Takes steps after the connection's script, or at once if that is over. Does not wait for them.
    ///
    /// While it takes them, the connection does what they say and nothing else, as in a script; then the fallback
    /// behavior continues. What the client sent earlier is handled first. Does nothing on a connection that has ended.
    ///
    /// ```swift
    /// let connection = try await server.connection(0)
    /// connection.perform([.send("now"), .sendClose(4000)])
    /// ```
    public func perform(_ steps: [Step]) {
      if log.update({ $0.recordNewScript() }) { perform(steps) }
    }
  }
}
