import Dispatch
import Sidecar

/// Messages out: pipelined, and one at a time with its echo.
struct Exchange {
  let options: Options

  // MARK: Sends

  func send(_ count: Int) async throws -> Run {
    let sidecar = try await WebSocketSidecar.connect(to: options.url("/sink"))
    let message = WebSocketMessage.binary(options.outgoing)
    var run = Run()
    for _ in 0..<count { try await sidecar.send(message) }
    try await sidecar.send("report")
    try run.take(report: try await sidecar.receive())
    await sidecar.shutdown()
    return run
  }

  func blockingSend(_ count: Int) throws -> Run {
    let socket = try BlockingWebSocket(options.url("/sink"))
    let message = WebSocketMessage.binary(options.outgoing)
    var run = Run()
    for _ in 0..<count { try socket.send(message) }
    try socket.send("report")
    try run.take(report: try socket.receive())
    socket.shutdown()
    return run
  }

  // MARK: Round trips

  /// On the sidecar's thread: the next message is sent where the last one's echo arrives.
  func echoInHandler() async throws -> Run {
    let total = options.warmup + options.count
    let warmup = options.warmup
    let state = OnThread((samples: [UInt64](), seen: 0, start: UInt64(0), failed: false))
    state.value.samples.reserveCapacity(options.count)
    let (finished, finish) = AsyncStream.makeStream(of: Void.self)
    let size = options.size
    let sidecar = try await WebSocketSidecar.connect(to: options.url("/echo")) { sidecar, kind, bytes in
      let now = Run.now()
      if state.value.seen >= warmup { state.value.samples.append(now - state.value.start) }
      state.value.seen += 1
      if bytes.byteCount != size { state.value.failed = true }
      if state.value.seen == total || state.value.failed { return finish.finish() }
      state.value.start = Run.now()
      do throws(WebSocketError) {
        if try !sidecar.trySend(kind, bytes) { state.value.failed = true }
      } catch {
        state.value.failed = true
        finish.finish()
      }
    }
    let first = WebSocketMessage.binary(options.outgoing)
    var run = Run()
    _ = try await sidecar.run { sidecar in
      state.value.start = Run.now()
      return try sidecar.trySend(first)
    }
    for await _ in finished {}
    await sidecar.shutdown()
    if state.value.failed { throw BenchError("an echo is not what was sent") }
    run.take(samples: state.value.samples, size: options.size)
    return run
  }

  func echo() async throws -> Run {
    let sidecar = try await WebSocketSidecar.connect(to: options.url("/echo"))
    let message = WebSocketMessage.binary(options.outgoing)
    var samples: [UInt64] = []
    samples.reserveCapacity(options.count)
    var inbound = sidecar.inbound.makeAsyncIterator()
    var run = Run()
    for index in 0..<options.warmup + options.count {
      let start = Run.now()
      try await sidecar.send(message)
      let answer = try await inbound.next()
      if index >= options.warmup { samples.append(Run.now() - start) }
      guard answer == message else { throw BenchError("an echo is not what was sent") }
    }
    run.take(samples: samples, size: options.size)
    await sidecar.shutdown()
    return run
  }

  func blockingEcho() throws -> Run {
    let socket = try BlockingWebSocket(options.url("/echo"))
    let message = WebSocketMessage.binary(options.outgoing)
    var samples: [UInt64] = []
    samples.reserveCapacity(options.count)
    var run = Run()
    for index in 0..<options.warmup + options.count {
      let start = Run.now()
      try socket.send(message)
      let answer = try socket.receive()
      if index >= options.warmup { samples.append(Run.now() - start) }
      guard answer == message else { throw BenchError("an echo is not what was sent") }
    }
    run.take(samples: samples, size: options.size)
    socket.shutdown()
    return run
  }
}

extension Run {
  fileprivate mutating func take(report: WebSocketMessage?) throws {
    guard case .text(let report)? = report else { throw BenchError("the sink has not reported") }
    try take(report: report)
  }
}
