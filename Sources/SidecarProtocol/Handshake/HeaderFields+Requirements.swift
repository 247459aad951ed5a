/// What both ends check in the header of an opening handshake (RFC 6455 §4.1, §4.2.1).
extension HeaderFields {
  /// Returns the value of a header that must be there exactly once.
  func requireOne(_ name: String) throws(HandshakeViolation) -> String {
    var value: String?
    for field in fields where field.name.equalsIgnoringCase(name) {
      guard value == nil else { throw .headerRepeated(name) }
      value = field.value
    }
    guard let value else { throw .headerMissing(name) }
    return value
  }

  /// Checks the upgrade to WebSocket: §4.1, items 2 and 3 of the response; §4.2.1, items 3 and 4 of the request.
  func requireUpgrade() throws(HandshakeViolation) {
    let upgrades = count(of: "websocket", inList: "Upgrade")
    guard upgrades.matching > 0, upgrades.matching == upgrades.all else {
      let values = values("Upgrade")
      throw values.isEmpty ? .headerMissing("Upgrade") : .upgradeIsNotWebSocket(values.joined(separator: ", "))
    }
    guard count(of: "Upgrade", inList: "Connection").matching > 0 else {
      let values = values("Connection")
      throw values.isEmpty ? .headerMissing("Connection") : .connectionIsNotUpgrade(values.joined(separator: ", "))
    }
  }
}
