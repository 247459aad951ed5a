import Dispatch
import Sidecar

/// The fire-hose, received in each of the ways that a user can choose.
struct Hose {
  let options: Options

  func run(_ count: Int) async throws -> Run {
    switch options.api {
    case "handler": try await handler(count)
    case "inbound": try await inbound(count)
    case "messages": try await messages(count)
    default: throw BenchError("the workload \(options.workload) has no API \(options.api)")
    }
  }

  /// On the sidecar's thread, where the bytes lie in the read buffer.
  private func handler(_ count: Int) async throws -> Run {
    let (finished, continuation) = AsyncStream.makeStream(of: Void.self)
    // One pointer leads to all that the handlers need, which they read when they need it. The continuation itself
    // has a layout that is only known while the program runs: a closure that captures that looks it up each time it is
    // called.
    let state = OnThread((run: Run(), count: count, finish: { continuation.finish() }))
    let text: MessageHandler = { _, _, bytes in
      let text = bytes.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
      state.value.run.receive(text)
      if state.value.run.messages == state.value.count { state.value.finish() }
    }
    let binary: MessageHandler = { _, _, bytes in
      let marker = bytes.byteCount == 0 ? 0 : bytes.unsafeLoad(fromByteOffset: bytes.byteCount - 1, as: UInt8.self)
      state.value.run.receive(count: bytes.byteCount, marker: marker)
      if state.value.run.messages == state.value.count { state.value.finish() }
    }
    let sidecar = try await WebSocketSidecar.connect(
      to: options.hose(count), configuration: options.configuration,
      handler: options.kind == .text ? text : binary)
    for await _ in finished {}
    var run = state.value.run
    run.stop()
    await sidecar.shutdown()
    return run
  }

  /// From a task of the pool, as any function is that says nothing of isolation.
  @concurrent private func inbound(_ count: Int) async throws -> Run {
    let sidecar = try await WebSocketSidecar.connect(to: options.hose(count), configuration: options.configuration)
    var run = Run()
    for try await message in sidecar.inbound {
      run.receive(message)
      if run.messages == count { break }
    }
    run.stop()
    await sidecar.shutdown()
    return run
  }

  @concurrent private func messages(_ count: Int) async throws -> Run {
    let sidecar = try await WebSocketSidecar.connect(to: options.hose(count), configuration: options.configuration)
    var run = Run()
    for await message in sidecar.messages {
      run.receive(message)
      if run.messages == count { break }
    }
    run.stop()
    await sidecar.shutdown()
    return run
  }

  /// From a plain thread that blocks.
  func blocking(_ count: Int) throws -> Run {
    let socket = try BlockingWebSocket(options.hose(count), configuration: options.configuration)
    var run = Run()
    while let message = try socket.receive() {
      run.receive(message)
      if run.messages == count { break }
    }
    run.stop()
    socket.shutdown()
    return run
  }
}

extension Run {
  @inline(__always)
  mutating func receive(_ text: String) {
    let end = text.utf8.withContiguousStorageIfAvailable { (count: $0.count, marker: $0.last ?? 0) }
    if let end { receive(count: end.count, marker: end.marker) }
  }

  @inline(__always)
  mutating func receive(_ message: WebSocketMessage) {
    switch message {
    case .text(let text): receive(text)
    case .binary(let payload): receive(count: payload.count, marker: payload.last ?? 0)
    }
  }
}

/// Something that only the sidecar's thread uses, until it has said that it is done.
///
/// Behind a pointer, as C code would have it: a class's property is checked for overlapping accesses each time, which
/// costs more than what is measured.
struct OnThread<Value>: @unchecked Sendable {
  // The handler writes, on one thread; it is read after the stream that the handler finished. Never given back: the
  // process ends with its measurement.
  private let pointer: UnsafeMutablePointer<Value>

  init(_ value: Value) {
    pointer = .allocate(capacity: 1)
    pointer.initialize(to: value)
  }

  var value: Value {
    @inline(__always) unsafeAddress { UnsafePointer(pointer) }
    @inline(__always) nonmutating unsafeMutableAddress { pointer }
  }
}
