extension TestServer {
  /// How far a connection's script has come.
  public enum ScriptProgress: Sendable, Hashable {
    /// Steps are left.
    case running
    /// All steps have been taken.
    case finished
    /// The connection ended, or this step became impossible.
    case cutShort(at: String)
  }
}
