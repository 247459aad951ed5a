extension TestServer {
  /// What a server has seen of all its connections.
  struct ServerLog: Sendable {
    var connections: [Connection] = []
    var acceptedCount = 0
    var isStopped = false
  }
}
