import SidecarTesting

/// A frame that a server sent, read by a parser that shares nothing with the one under test.
struct ServerFrame: Hashable {
  var first: UInt8
  var payload: [UInt8]

  init(first: UInt8, payload: [UInt8]) {
    self.first = first
    self.payload = payload
  }

  init(_ frame: RawFrame) {
    first = frame.bytes[0]
    payload = frame.payload
  }

  /// Parses frames. An incomplete frame at the end becomes one with opcode 15, which no test expects.
  static func parse(_ bytes: [UInt8]) -> [ServerFrame] {
    var frames: [ServerFrame] = []
    var position = 0
    while position < bytes.count {
      var length = position + 1 < bytes.count ? Int(bytes[position + 1]) : .max
      var payload = position + 2
      let more = length == 126 ? 2 : length == 127 ? 8 : 0
      if more > 0 {
        length = bytes[payload..<min(payload + more, bytes.count)].reduce(0) { $0 * 256 + Int($1) }
        payload += more
      }
      guard length <= bytes.count - payload else {
        return frames + [ServerFrame(first: 0x0F, payload: Array(bytes[position...]))]
      }
      frames.append(ServerFrame(first: bytes[position], payload: Array(bytes[payload..<(payload + length)])))
      position = payload + length
    }
    return frames
  }
}
