import NIOCore
import NIOHTTP1
import NIOPosix
import NIOWebSocket

/// One event loop on a thread of its own, and connections on it.
struct Client: Sendable {
  let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  let options: Options

  var hosePath: String { "/hose?size=\(options.size)&count=" }

  /// Opens a connection and hands its channel, once it is upgraded, to `configure`, on the loop.
  ///
  /// The bytes that came with the 101 are forwarded: by default they are dropped, and with them the first messages.
  func open<Upgraded: Sendable>(
    _ target: String, largeReads: Bool = false,
    configure: @escaping @Sendable (any Channel) throws -> Upgraded
  ) async throws -> Upgraded {
    var bootstrap = ClientBootstrap(group: group)
      .channelOption(.socketOption(.tcp_nodelay), value: 1)
    if largeReads {
      bootstrap =
        bootstrap
        .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 64 * 1024))
    }
    let port = options.port
    let upgraded = try await bootstrap.connect(host: "127.0.0.1", port: port) { channel in
      channel.eventLoop.makeCompletedFuture {
        let upgrader = NIOTypedWebSocketClientUpgrader<Upgraded>(
          maxFrameSize: 1 << 27,
          upgradePipelineHandler: { channel, _ in
            channel.eventLoop.makeCompletedFuture { try configure(channel) }
          })
        let request = HTTPRequestHead(
          version: .http1_1, method: .GET, uri: target, headers: ["Host": "127.0.0.1:\(port)"])
        var configuration = NIOUpgradableHTTPClientPipelineConfiguration(
          upgradeConfiguration: NIOTypedHTTPClientUpgradeConfiguration(
            upgradeRequestHead: request, upgraders: [upgrader],
            notUpgradingCompletionHandler: { channel in
              channel.eventLoop.makeFailedFuture(PeerError("the server refused"))
            }))
        configuration.leftOverBytesStrategy = .forwardBytes
        return try channel.pipeline.syncOperations.configureUpgradableHTTPClientPipeline(configuration: configuration)
      }
    }
    return try await upgraded.get()
  }
}

extension WebSocketFrame {
  /// A masked message, as a client sends it.
  static func message(_ opcode: WebSocketOpcode, _ data: ByteBuffer) -> WebSocketFrame {
    WebSocketFrame(fin: true, opcode: opcode, maskKey: .random(), data: data)
  }

  static var normalClose: WebSocketFrame {
    var data = ByteBuffer()
    data.write(webSocketErrorCode: .normalClosure)
    return .message(.connectionClose, data)
  }
}

extension Options {
  /// What is sent: the sink expects each message to end in "a".
  var payload: ByteBuffer {
    var buffer = ByteBuffer(repeating: UInt8(ascii: "x"), count: size - 1)
    buffer.writeInteger(UInt8(ascii: "a"))
    return buffer
  }
}

extension Run {
  /// Looks at a message where it is; text is made a string first.
  mutating func take(_ data: ByteBuffer, isText: Bool) {
    if isText {
      let text = String(buffer: data)
      take(size: text.utf8.count, last: text.utf8.last ?? 0)
    } else {
      take(size: data.readableBytes, last: data.getInteger(at: data.writerIndex - 1) ?? 0)
    }
  }
}
