import SidecarProtocol
import SidecarTesting

@testable import Sidecar

/// What hostile servers do.
enum Attack {
  /// 1 GiB of zeroes in one message, compressed to about 1 MiB.
  static var zipBomb: [TestServer.Step] {
    var deflater = Deflater(PermessageDeflate.Agreement(), role: .server)
    let zeroes = [UInt8](repeating: 0, count: 1 << 20)
    func compressed() -> [UInt8] {
      var buffer = ByteBuffer()
      zeroes.withUnsafeBytes { deflater.compress($0, into: &buffer) }
      return Array(buffer.bytes)
    }
    // The end of a block, which is left out at the end of a message only (RFC 7692 §7.2.1).
    let tail: [UInt8] = [0, 0, 0xFF, 0xFF]
    let first = RawFrame(opcode: 2, fin: false, rsv1: true, payload: compressed() + tail)
    // From the second on they are all the same: each looks back at zeroes only.
    let more = RawFrame.continuation(compressed() + tail, fin: false)
    let last = RawFrame.continuation([0], fin: true)
    return [.send(first), .repeat(times: 1023, [.send(more)]), .send(last)]
  }

  static var emptyFragments: [TestServer.Step] {
    let some = Array(repeating: RawFrame.continuation([], fin: false).bytes, count: 10_000).flatMap { $0 }
    return [.send(.binary([], fin: false)), .repeat(times: 100, [.sendRaw(some)])]
  }

  static var pings: [TestServer.Step] { repeated(.ping(Array(repeating: 7, count: 40))) }

  static var pongs: [TestServer.Step] { repeated(.pong(Array(repeating: 7, count: 40))) }

  private static func repeated(_ frame: RawFrame) -> [TestServer.Step] {
    let some = Array(repeating: frame.bytes, count: 1000).flatMap { $0 }
    return [.repeat(times: 1000, [.sendRaw(some)])]
  }

  static var messagesWithoutEnd: [TestServer.Step] {
    let some = Array(repeating: RawFrame.binary(Array(repeating: 7, count: 100)).bytes, count: 600).flatMap { $0 }
    return [.repeat([.sendRaw(some)])]
  }
}

extension WebSocketError {
  /// The code that the peer was told.
  var closeCode: CloseCode? {
    switch self {
    case .protocolViolation(let code, _), .limitExceeded(let code, _): code
    default: nil
    }
  }
}
