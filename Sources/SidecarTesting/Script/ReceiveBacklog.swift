internal import SidecarProtocol

/// What the client has sent and the script has not consumed.
struct ReceiveBacklog {
  /// Charged for each message beside its bytes.
  private static let overhead = 64

  private var messages: [WebSocketMessage] = []
  /// The index of the oldest message that is left.
  private var head = 0
  /// What the messages are charged, in bytes.
  private(set) var byteCount = 0
  var pings = 0
  var pongs = 0
  var closes = 0

  mutating func append(_ message: WebSocketMessage) {
    messages.append(message)
    byteCount += message.byteCount + Self.overhead
  }

  /// Removes and returns the oldest message.
  mutating func takeMessage() -> WebSocketMessage? {
    guard head < messages.count else { return nil }
    let message = messages[head]
    head += 1
    byteCount -= message.byteCount + Self.overhead
    if head == messages.count {
      messages.removeAll(keepingCapacity: true)
      head = 0
    }
    return message
  }
}
