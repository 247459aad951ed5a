@testable import Sidecar
import SidecarExecutor
import SidecarProtocol
import SidecarTestSupport
import SidecarTesting
import Testing

/// A server that answers before it has read the request.
@Suite(.census) struct EarlyResponseTests {
  @Test func `no frame precedes the last byte of the opening request`() async throws {
    let mayRead = Promise<Void>()
    let found = Promise<(isText: Bool, first: RawStream.Frame)>()
    let peer = try RawPeer(receiveBuffer: 4096) { stream in
      var head: [UInt8] = []
      while !String(decoding: head, as: UTF8.self).contains("Sec-WebSocket-Version") {
        head += try stream.read(upTo: 1024)
      }
      try stream.accept(head)
      _ = mayRead.wait(until: .after(patience))
      stream.setReceiveBuffer(4 << 20)
      // Every byte of the request is printable ASCII, CR or LF.
      let rest = try stream.read(through: "\r\n\r\n")
      let isText = rest.allSatisfy { (0x20...0x7E).contains($0) || $0 == 13 || $0 == 10 }
      found.complete((isText, try stream.readFrame()))
    }
    var configuration = WebSocketConfiguration()
    configuration.outboundCapacity = 32 << 20
    // More than both kernels' buffers hold.
    configuration.headers = (0..<8).map { ("X-Large-\($0)", String(repeating: "h", count: 1 << 20)) }
    let client = try await WebSocketSidecar.connect(to: peer.url, configuration: configuration)
    try await client.send("first")
    await client.waitForThread()
    mayRead.complete(())
    let (isText, first) = await found.uncancellableValue()
    #expect(isText)
    #expect(first == RawStream.Frame(opcode: .text, payload: Array("first".utf8)))
    await client.shutdown(within: .zero)
    try await peer.end()
  }
}
