import NIOCore
import NIOHTTP1
import NIOPosix
import NIOWebSocket
import Sidecar

/// swift-nio: a sidecar connects to a WebSocket server on NIO's threads, which sends back what it is sent.
func checkNIO() async throws {
  let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  let upgrader = NIOWebSocketServerUpgrader(
    shouldUpgrade: { channel, _ in channel.eventLoop.makeSucceededFuture(HTTPHeaders()) },
    upgradePipelineHandler: { channel, _ in
      channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(FrameEcho()) }
    })
  let server = try await ServerBootstrap(group: group)
    .childChannelInitializer { channel in
      channel.eventLoop.makeCompletedFuture {
        try channel.pipeline.syncOperations.configureHTTPServerPipeline(
          withServerUpgrade: (upgraders: [upgrader], completionHandler: { _ in }))
      }
    }
    .bind(host: "127.0.0.1", port: 0).get()

  let sidecar = try await WebSocketSidecar.connect(to: "ws://127.0.0.1:\(server.localAddress?.port ?? 0)/")
  try await sidecar.send("hello")
  let answer = try await sidecar.receive(timeout: .seconds(30))
  try check(answer == "hello", "a server on swift-nio echoes")
  let report = await sidecar.shutdown()
  try check(report.isClean, "the server on swift-nio answers the Close")
  try await server.close()
  try await group.shutdownGracefully()
}

/// Sends every frame back, Close frames too.
private final class FrameEcho: ChannelInboundHandler {
  typealias InboundIn = WebSocketFrame
  typealias OutboundOut = WebSocketFrame

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let frame = unwrapInboundIn(data)
    let isClose = frame.opcode == .connectionClose
    let answer = WebSocketFrame(fin: frame.fin, opcode: frame.opcode, data: frame.unmaskedData)
    context.writeAndFlush(wrapOutboundOut(answer), promise: nil)
    if isClose { context.close(promise: nil) }
  }
}
