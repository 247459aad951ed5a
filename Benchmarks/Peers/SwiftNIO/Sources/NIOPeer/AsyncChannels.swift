import Dispatch
import NIOCore
import NIOPosix
import NIOWebSocket

// `--api async`: frames cross from the event loop to tasks of the cooperative thread pool, by NIOAsyncChannel.

typealias WebSocketChannel = NIOAsyncChannel<WebSocketFrame, WebSocketFrame>

extension Client {
  private func openChannel(_ target: String, largeReads: Bool = false) async throws -> WebSocketChannel {
    try await open(target, largeReads: largeReads) { try WebSocketChannel(wrappingChannelSynchronously: $0) }
  }

  func asyncRun(_ count: Int) async throws -> Run {
    switch options.workload {
    case "hose": try await asyncHose(count)
    case "send": try await asyncSend(count)
    case "echo": try await asyncEcho(count)
    case "cycles": try await asyncCycles(count)
    case "idle": try await asyncIdle(count)
    default: throw PeerError("unknown workload")
    }
  }

  private func asyncHose(_ count: Int) async throws -> Run {
    let channel = try await openChannel("\(hosePath)\(count)&kind=\(options.kind)", largeReads: true)
    let isText = options.isText
    return try await channel.executeThenClose { inbound, _ in
      var run = Run()
      for try await frame in inbound {
        run.take(frame.data, isText: isText)
        if run.messages == count { break }
      }
      run.stop()
      return run
    }
  }

  private func asyncSend(_ count: Int) async throws -> Run {
    let payload = options.payload
    return try await openChannel("/sink").executeThenClose { inbound, outbound in
      var run = Run()
      for _ in 0..<count { try await outbound.write(.message(.binary, payload)) }
      try await outbound.write(.message(.text, ByteBuffer(string: "report")))
      for try await frame in inbound {
        try run.take(report: String(buffer: frame.data))
        break
      }
      return run
    }
  }

  private func asyncEcho(_ count: Int) async throws -> Run {
    let payload = options.payload
    let warmup = options.warmup
    return try await openChannel("/echo").executeThenClose { inbound, outbound in
      var answers = inbound.makeAsyncIterator()
      var samples: [UInt64] = []
      samples.reserveCapacity(count)
      var run = Run()
      for trip in 0..<(warmup + count) {
        let start = now()
        if trip == warmup { run.begin = start }
        try await outbound.write(.message(.binary, payload))
        guard try await answers.next()?.data == payload else { throw PeerError("the echo is not what was sent") }
        if trip >= warmup { samples.append(now() - start) }
      }
      run.take(samples: samples, size: payload.readableBytes)
      return run
    }
  }

  private func asyncCycles(_ count: Int) async throws -> Run {
    var run = Run()
    for _ in 0..<count {
      try await openChannel("/idle").executeThenClose { inbound, outbound in
        try await outbound.write(.normalClose)
        var isAnswered = false
        for try await frame in inbound { isAnswered = frame.opcode == .connectionClose }
        guard isAnswered else { throw PeerError("the server ended the stream") }
      }
      run.messages += 1
    }
    run.stop()
    return run
  }

  /// Holds connections that say nothing, each with a task that waits for messages.
  private func asyncIdle(_ count: Int) async throws -> Run {
    func openIdle() async throws {
      let channel = try await openChannel("/idle")
      Task { try await channel.executeThenClose { inbound, _ in for try await _ in inbound {} } }
    }
    try await openIdle()
    let before = statusNumber("VmRSS")
    var run = Run()
    for _ in 0..<count { try await openIdle() }
    run.messages = count
    run.stop()
    try await Task.sleep(for: .milliseconds(500))
    run.kibPerConnection = Double(statusNumber("VmRSS") - before) / Double(count)
    run.threadsOpen = statusNumber("Threads")
    return run
  }

  /// Serves a plain thread's calls from one task: each element of `calls` is a round trip.
  func serveBlockingCaller(_ calls: AsyncStream<Void>, answered: DispatchSemaphore) async throws {
    let payload = options.payload
    try await openChannel("/echo").executeThenClose { inbound, outbound in
      var answers = inbound.makeAsyncIterator()
      answered.signal()  // the connection is open
      for await _ in calls {
        try await outbound.write(.message(.binary, payload))
        guard try await answers.next()?.data == payload else { throw PeerError("the echo is not what was sent") }
        answered.signal()
      }
    }
  }
}
