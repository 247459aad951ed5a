internal import SidecarExecutor

extension TestServer {
  /// Lets a test tell a script when to go on.
  ///
  /// ```swift
  /// let gate = TestServer.Gate()
  /// let server = try TestServer(behavior: .script([.open, .waitFor(gate), .reset]))
  /// // … bring the client where it should be …
  /// gate.open()
  /// ```
  ///
  /// Can be used from any thread and by several connections. Once open, it stays open.
  public final class Gate: Sendable {
    let opened = Promise<Void>()

    /// Makes a closed gate.
    public init() {}

    /// Lets every script go on that waits at the gate, now or later.
    public func open() { opened.complete(()) }
  }
}
