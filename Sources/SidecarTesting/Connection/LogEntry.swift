internal import SidecarProtocol

/// Something that happened on a connection, on its way from the server's thread into the log.
enum LogEntry {
  case request(TestServer.Request)
  case requestViolation(String)
  case opened
  case message(WebSocketMessage)
  case ping([UInt8])
  case pong([UInt8])
  case frame(TestServer.ReceivedFrame)
  case close(TestServer.ReceivedClose)
  case violation(String)
  case rawInput([UInt8])
  case bytesAfterClose([UInt8])
  case bytesReceived(Int)
  /// A script ended; `taken` counts the scripts that the connection has taken so far.
  case script(TestServer.ScriptProgress, taken: Int)
  case ending(TestServer.Ending.Stream, isClean: Bool)
  /// The descriptor is closed; nothing follows.
  case over
}
