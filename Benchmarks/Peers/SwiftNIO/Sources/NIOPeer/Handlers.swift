import Dispatch
import NIOCore
import NIOPosix
import NIOWebSocket

// `--api handler`: frames are handled in a ChannelHandler, on the event loop.

/// Fired through the pipeline when the upgrade is over: what a handler writes before that does not reach the server.
enum Begin { case now }

/// A handler that ends with a value, or with the connection's error.
class EndingHandler<Value: Sendable>: ChannelInboundHandler {
  typealias InboundIn = WebSocketFrame
  typealias OutboundOut = WebSocketFrame

  let ended: EventLoopPromise<Value>

  init(_ ended: EventLoopPromise<Value>) { self.ended = ended }

  func channelActive(context: ChannelHandlerContext) {}
  func begin(context: ChannelHandlerContext) {}
  func channelRead(context: ChannelHandlerContext, data: NIOAny) {}
  func channelWritabilityChanged(context: ChannelHandlerContext) {}
  func channelInactive(context: ChannelHandlerContext) { ended.fail(PeerError("the server ended the stream")) }
  func errorCaught(context: ChannelHandlerContext, error: any Error) { ended.fail(error) }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if event is Begin { begin(context: context) }
  }

  func send(_ frame: WebSocketFrame, context: ChannelHandlerContext) {
    context.writeAndFlush(wrapOutboundOut(frame), promise: nil)
  }
}

/// Counts messages until all are there.
final class HoseHandler: EndingHandler<Run> {
  private var run = Run()
  private let count: Int
  private let isText: Bool

  init(_ ended: EventLoopPromise<Run>, count: Int, isText: Bool) {
    self.count = count
    self.isText = isText
    super.init(ended)
  }

  override func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    run.take(unwrapInboundIn(data).data, isText: isText)
    guard run.messages == count else { return }
    run.stop()
    ended.succeed(run)
  }
}

/// Writes while the channel is writable, and flushes what it wrote; then takes the report.
final class SendHandler: EndingHandler<Run> {
  private var run = Run()
  private var left: Int
  private let payload: ByteBuffer

  init(_ ended: EventLoopPromise<Run>, count: Int, payload: ByteBuffer) {
    self.left = count
    self.payload = payload
    super.init(ended)
  }

  override func begin(context: ChannelHandlerContext) {
    run.begin = now()
    write(context: context)
  }

  override func channelWritabilityChanged(context: ChannelHandlerContext) { write(context: context) }

  private func write(context: ChannelHandlerContext) {
    while left > 0, context.channel.isWritable {
      while left > 0, context.channel.isWritable {
        context.write(wrapOutboundOut(.message(.binary, payload)), promise: nil)
        left -= 1
      }
      if left == 0 {
        left = -1
        context.write(wrapOutboundOut(.message(.text, ByteBuffer(string: "report"))), promise: nil)
      }
      context.flush()
    }
  }

  override func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    ended.completeWith(
      Result {
        try run.take(report: String(buffer: unwrapInboundIn(data).data))
        return run
      })
  }
}

/// One message in flight: the next is sent where the last one's answer arrives.
final class EchoHandler: EndingHandler<Run> {
  private var run = Run()
  private var samples: [UInt64] = []
  private var start: UInt64 = 0
  private var warmup: Int
  private let count: Int
  private let payload: ByteBuffer

  init(_ ended: EventLoopPromise<Run>, options: Options) {
    self.warmup = options.warmup
    self.count = options.count
    self.payload = options.payload
    samples.reserveCapacity(options.count)
    super.init(ended)
  }

  override func begin(context: ChannelHandlerContext) {
    run.begin = now()
    next(context: context)
  }

  private func next(context: ChannelHandlerContext) {
    start = now()
    send(.message(.binary, payload), context: context)
  }

  override func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let sample = now() - start
    guard unwrapInboundIn(data).data == payload else { return ended.fail(PeerError("the echo is not what was sent")) }
    if warmup > 0 {
      warmup -= 1
      if warmup == 0 { run.begin = now() }
    } else {
      samples.append(sample)
    }
    if samples.count < count { return next(context: context) }
    run.take(samples: samples, size: payload.readableBytes)
    ended.succeed(run)
  }
}

/// Wakes the thread that waits for an answer.
final class AnswerHandler: EndingHandler<Void> {
  private let answered: DispatchSemaphore

  init(_ ended: EventLoopPromise<Void>, answered: DispatchSemaphore) {
    self.answered = answered
    super.init(ended)
  }

  override func channelRead(context: ChannelHandlerContext, data: NIOAny) { answered.signal() }
}

/// Ends when the server has answered Close and ended the stream.
final class CloseHandler: EndingHandler<Void> {
  private var isAnswered = false

  override func begin(context: ChannelHandlerContext) { send(.normalClose, context: context) }

  override func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    isAnswered = unwrapInboundIn(data).opcode == .connectionClose
  }

  override func channelInactive(context: ChannelHandlerContext) {
    if isAnswered { ended.succeed() } else { super.channelInactive(context: context) }
  }
}

/// Says nothing.
final class IdleHandler: ChannelInboundHandler {
  typealias InboundIn = WebSocketFrame
  func channelRead(context: ChannelHandlerContext, data: NIOAny) {}
}

extension Client {
  /// Opens a connection with a handler, and waits for what the handler ends with.
  private func end<Value: Sendable>(
    _ target: String, largeReads: Bool = false,
    with makeHandler: @escaping @Sendable (EventLoopPromise<Value>) -> EndingHandler<Value>
  ) async throws -> Value {
    let ended = group.next().makePromise(of: Value.self)
    let channel = try await open(target, largeReads: largeReads) { channel in
      try channel.pipeline.syncOperations.addHandler(makeHandler(ended))
      return channel
    }
    channel.pipeline.fireUserInboundEventTriggered(Begin.now)
    let value = try await ended.futureResult.get()
    try? await channel.close()
    return value
  }

  func handlerRun(_ count: Int) async throws -> Run {
    let options = options
    switch options.workload {
    case "hose":
      return try await end("\(hosePath)\(count)&kind=\(options.kind)", largeReads: true) {
        HoseHandler($0, count: count, isText: options.isText)
      }
    case "send":
      return try await end("/sink") { SendHandler($0, count: count, payload: options.payload) }
    case "echo":
      return try await end("/echo") { EchoHandler($0, options: options) }
    case "cycles":
      var run = Run()
      for _ in 0..<count {
        try await end("/idle") { CloseHandler($0) }
        run.messages += 1
      }
      run.stop()
      return run
    case "idle":
      func openIdle() async throws {
        try await open("/idle") { try $0.pipeline.syncOperations.addHandler(IdleHandler()) }
      }
      try await openIdle()
      let before = statusNumber("VmRSS")
      var run = Run()
      for _ in 0..<count { try await openIdle() }
      run.messages = count
      run.stop()
      run.kibPerConnection = Double(statusNumber("VmRSS") - before) / Double(count)
      run.threadsOpen = statusNumber("Threads")
      return run
    default:
      throw PeerError("unknown workload")
    }
  }

  /// Opens the connection that a plain thread then calls through.
  func openForBlockingCaller(answered: DispatchSemaphore) async throws -> any Channel {
    try await open("/echo") { channel in
      let ended = channel.eventLoop.makePromise(of: Void.self)
      try channel.pipeline.syncOperations.addHandler(AnswerHandler(ended, answered: answered))
      return channel
    }
  }
}
