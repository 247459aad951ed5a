internal import SidecarExecutor
internal import SidecarProtocol
internal import SidecarTransport
internal import Synchronization

/// The bounded queue of frames between senders and the stream.
///
/// A message is framed and masked on its sender's thread, straight into the queue. The ``WriteOwner`` writes it.
///
/// Bounded by bytes: when `highWatermark` of them wait, senders wait until half of them are written. A message is
/// queued whole while the queue is below the watermark, so the queue holds at most the watermark and one message of
/// each sender. What a message handler sends is always queued: the connection is not read while the queue is above its
/// watermark.
final class SendQueue: Sendable {
  /// How the attempt to queue a message ended.
  enum EnqueueResult: Sendable {
    case queued

    /// The connection is not open yet.
    case notOpen

    /// The queue is full. A waiter that was passed is completed when there is room, or none will come.
    case full
    case failed(WebSocketError)
  }

  private enum Phase {
    case notOpen

    /// Closing has begun before the connection is open, which it may still become.
    case refusingUnopened(WebSocketError)
    case open

    /// Closing has begun: new messages fail, but control frames still go out.
    case refusing(WebSocketError)

    /// Our Close frame is queued: nothing may follow it (RFC 6455 §5.5.1).
    case closeQueued(WebSocketError)
    case ended(WebSocketError)
  }

  private struct State: ~Copyable {
    var phase = Phase.notOpen
    var owner = WriteOwner.nobody
    var inlineWrites = InlineWritePolicy()
    var frames = OutgoingFrames()
    var waiters: [Promise<Void>] = []
    /// Present from the connected stream to the end. The connection closes it; senders only write to it.
    var stream: ByteStream?
    /// Makes the sidecar's thread call ``takeNext(_:)`` soon.
    var requestFlush: (@Sendable () -> Void)?
  }

  /// What a thread does after it has released the locks.
  private struct Followup: ~Copyable {
    var buffer = ByteBuffer()
    /// The stream to write `buffer` to, if this thread owns it now.
    var stream: ByteStream?
    var requestFlush: (@Sendable () -> Void)?
  }

  private let state = Locked(State())
  /// Nil if compression is not offered.
  private let compressor: MessageCompressor?
  private let highWatermark: Int
  private let thread: SidecarThread
  private let responseHint: ResponseHint
  /// Congested while the queue is above its watermark and messages are accepted.
  private let handlerGate: HandlerGate
  /// True while the message handler runs, on the sidecar's thread.
  private let handlerRuns = AtomicFlag(false)

  /// Makes the queue of a connection that is not open yet, and that runs on `thread`.
  ///
  /// - Parameter offersCompression: Whether the server may agree to compression.
  init(
    highWatermark: Int, offersCompression: Bool, thread: SidecarThread, responseHint: ResponseHint,
    handlerGate: HandlerGate
  ) {
    self.handlerGate = handlerGate
    compressor = offersCompression ? MessageCompressor() : nil
    self.highWatermark = highWatermark
    self.thread = thread
    self.responseHint = responseHint
  }

  // MARK: From any thread

  /// Queues a data message, and writes it if no other thread is writing.
  func send(
    _ kind: MessageKind, _ payload: UnsafeRawBufferPointer, compress: Bool = true, orWait waiter: Promise<Void>?
  ) -> EnqueueResult {
    var followup = Followup()
    let result: EnqueueResult
    if compress, let compressor, compressor.compresses(payload.count) {
      // Refused before it is compressed: compressing changes the window of the next message.
      if let refused = state.withLock({ refusal(&$0, orWait: waiter) }) { return refused }
      result = compressor.compress(payload) { compressed in
        enqueue(kind, compressed, isCompressed: true, orWait: nil, &followup)
      }
    } else {
      result = enqueue(kind, payload, isCompressed: false, orWait: waiter, &followup)
    }
    if let stream = followup.stream { write(&followup.buffer, to: stream) }
    followup.requestFlush?()
    return result
  }

  /// Returns why nothing can be queued now, if so; adds the waiter if there is no room.
  private func refusal(_ state: inout State, orWait waiter: Promise<Void>?) -> EnqueueResult? {
    switch state.phase {
    case .notOpen: return .notOpen
    case .refusingUnopened(let error), .refusing(let error), .closeQueued(let error), .ended(let error):
      return .failed(error)
    case .open:
      guard state.frames.unwrittenCount >= highWatermark else { return nil }
      if handlerRuns.isSet, thread.isCurrent { return nil }
      if let waiter { state.waiters.append(waiter) }
      return .full
    }
  }

  private func enqueue(
    _ kind: MessageKind, _ payload: UnsafeRawBufferPointer, isCompressed: Bool, orWait waiter: Promise<Void>?,
    _ followup: inout Followup
  ) -> EnqueueResult {
    let onSidecarThread = thread.isCurrent
    return state.withLock { state in
      if let refused = refusal(&state, orWait: waiter) {
        // A compressed message was accepted before, and the window has changed.
        guard isCompressed, case .full = refused else { return refused }
      }
      do throws(RandomnessError) {
        try state.frames.append(Opcode(kind), payload, rsv1: isCompressed)
      } catch {
        if isCompressed { compressor?.stop() }
        return .failed(WebSocketError(error))
      }
      if state.frames.unwrittenCount >= highWatermark { handlerGate.setCongested(true) }
      guard case .nobody = state.owner else { return .queued }
      if !onSidecarThread, let stream = state.stream, stream.mayWriteInline,
        state.inlineWrites.shouldWriteInline(isFirstSinceBytesArrived: responseHint.markSent())
      {
        state.owner = .sender
        followup.stream = stream
        state.frames.takeQueue(into: &followup.buffer)
      } else {
        state.owner = .sidecar
        followup.requestFlush = state.requestFlush
      }
      return .queued
    }
  }

  /// Writes as a sender: one system call, and the rest is left to the sidecar's thread.
  private func write(_ buffer: inout ByteBuffer, to stream: ByteStream) {
    // After a failure the bytes stay: the sidecar's thread meets it again, and handles it.
    if case .bytes(let count)? = stream.writeInline(buffer.bytes) { buffer.consume(count) }
    if buffer.isEmpty { buffer.removeAll(keepingCapacityUpTo: OutgoingFrames.keptCapacity) }
    var waiters: [Promise<Void>] = []
    let requestFlush: (@Sendable () -> Void)? = state.withLock { state in
      if case .ended = state.phase {
        // The connection has left the stream open until this write was over.
        state.owner = .sidecar
        return state.requestFlush
      }
      state.frames.giveBack(&buffer)
      let wasCongested = handlerGate.isCongested
      waiters = takeWaitersIfThereIsRoom(&state)
      guard state.frames.isEmpty, !wasCongested else {
        state.owner = .sidecar
        return state.requestFlush
      }
      state.owner = .nobody
      return nil
    }
    if let requestFlush { requestFlush() } else { responseHint.didWriteInline() }
    for waiter in waiters { waiter.complete(()) }
  }

  /// Takes a waiter back.
  ///
  /// - Returns: False if it has been, or is about to be, completed.
  func withdraw(_ waiter: Promise<Void>) -> Bool {
    state.withLock { state in
      guard let index = state.waiters.firstIndex(where: { $0 === waiter }) else { return false }
      state.waiters.remove(at: index)
      return true
    }
  }

  /// Fails every send from now on with `error`, and those that wait for room. What is queued is still written.
  func refuse(_ error: WebSocketError) {
    let waiters = state.withLock { state in
      switch state.phase {
      case .notOpen: state.phase = .refusingUnopened(error)
      case .open: state.phase = .refusing(error)
      case .refusingUnopened, .refusing, .closeQueued, .ended: break
      }
      handlerGate.setCongested(false)
      return SendQueue.takeWaiters(&state)
    }
    for waiter in waiters { waiter.complete(()) }
  }

  /// Makes every read and write of the stream fail, if there is one. The connection still closes it.
  func abortStream() {
    let stream = state.withLock { $0.stream }
    stream?.abort()
  }

  private static func takeWaiters(_ state: inout State) -> [Promise<Void>] {
    defer { state.waiters = [] }
    return state.waiters
  }

  private func takeWaitersIfThereIsRoom(_ state: inout State) -> [Promise<Void>] {
    guard state.frames.unwrittenCount <= highWatermark / 2 else { return [] }
    handlerGate.setCongested(false)
    return state.waiters.isEmpty ? [] : SendQueue.takeWaiters(&state)
  }

  // MARK: From the sidecar's thread

  /// Takes the connected stream, and queues the opening request. No message is accepted yet.
  ///
  /// - Parameter requestFlush: Makes the sidecar's thread call ``takeNext(_:)`` soon. Called from any thread.
  func start(_ stream: ByteStream, request: [UInt8], requestFlush: @escaping @Sendable () -> Void) {
    state.withLock { state in
      state.stream = stream
      state.requestFlush = requestFlush
      state.frames.append(raw: request)
      // The request's last byte goes out before any sender can write a frame, whatever the server has answered by then.
      state.owner = .sidecar
    }
  }

  /// Accepts messages from now on: the handshake is complete.
  func open(_ agreement: PermessageDeflate.Agreement?, _ compression: WebSocketCompression?) {
    if let agreement, let compression { compressor?.start(agreement, compression) }
    state.withLock { state in
      switch state.phase {
      case .notOpen: state.phase = .open
      case .refusingUnopened(let error): state.phase = .refusing(error)
      case .open, .refusing, .closeQueued, .ended: break
      }
    }
  }

  /// True while a connection with a message handler should not be read: the handler may answer each message.
  var isCongested: Bool { handlerGate.isCongested }

  /// Says that the message handler begins or ends: what it sends is queued even above the watermark.
  func setHandlerRuns(_ value: Bool) { handlerRuns.set(value) }

  /// Queues a Ping or Pong, whatever the watermark says; the caller flushes.
  ///
  /// - Returns: False if none may be sent any more; a failure if the frame cannot be masked.
  func sendControl(_ opcode: Opcode, _ payload: WebSocketPayload) -> Result<Bool, RandomnessError> {
    state.withLock { state in
      guard mayQueueControl(state) else { return .success(false) }
      do throws(RandomnessError) {
        try state.frames.flushDeferredPong()
        try state.frames.append(opcode, payload)
        return .success(true)
      } catch {
        return .failure(error)
      }
    }
  }

  /// Queues a Pong for when the peer reads again, in place of an earlier one: a peer that sends Pings and does not read
  /// is owed one Pong, not a queue of them (RFC 6455 §5.5.3).
  func deferPong(_ payload: WebSocketPayload) {
    state.withLock { if mayQueueControl($0) { $0.frames.deferPong(payload) } }
  }

  private func mayQueueControl(_ state: borrowing State) -> Bool {
    switch state.phase {
    case .open, .refusing: true
    case .notOpen, .refusingUnopened, .closeQueued, .ended: false
    }
  }

  /// Queues the Close frame; every send after it fails with `error`.
  func sendClose(_ payload: ClosePayload, refusingWith error: WebSocketError) {
    refuse(error)
    state.withLock { state in
      guard case .refusing(let error) = state.phase else { return }
      state.phase = .closeQueued(error)
      // Without a key the peer gets no Close frame, and sees the end of the stream.
      try? state.frames.flushDeferredPong()
      let bytes = payload.withUnsafeBytes { WebSocketPayload(copying: $0) }
      try? state.frames.append(.connectionClose, bytes)
    }
  }

  /// Swaps what is to be written next into the empty `buffer`, and makes the sidecar's thread the owner of the stream.
  ///
  /// - Returns: False if there is nothing to write, or a sender is writing.
  func takeNext(_ buffer: inout ByteBuffer) -> Bool {
    state.withLock { state in
      if case .sender = state.owner { return false }
      guard state.frames.takeNext(into: &buffer) else {
        state.owner = .nobody
        return false
      }
      state.owner = .sidecar
      return true
    }
  }

  /// Counts bytes as written, and resumes senders that wait for room.
  func didWrite(_ count: Int) {
    let waiters: [Promise<Void>] = state.withLock { state in
      state.frames.didWrite(count)
      return takeWaitersIfThereIsRoom(&state)
    }
    for waiter in waiters { waiter.complete(()) }
  }

  /// Drops what is queued and releases the stream; sends fail with `error` from now on. Senders that wait for room have
  /// been released by ``refuse(_:)``.
  ///
  /// - Returns: True if the stream may be closed now. Otherwise a sender is writing, and requests a flush when it is
  ///   done.
  func end(_ error: WebSocketError) -> Bool {
    state.withLock { state in
      state.phase = .ended(error)
      state.frames.removeAll()
      if case .sender = state.owner { return false }
      state.stream = nil
      return true
    }
  }

  // MARK: For tests

  /// True if a sender waits for room.
  var hasWaiters: Bool { state.withLock { !$0.waiters.isEmpty } }

  /// Bytes that wait to be written.
  var unwrittenByteCount: Int { state.withLock { $0.frames.unwrittenCount } }
}

extension SendQueue {
  /// Queues a message; see ``send(_:_:compress:orWait:)``.
  func send(_ message: WebSocketMessage, compress: Bool = true, orWait waiter: Promise<Void>?) -> EnqueueResult {
    switch message {
    case .text(var text):
      text.withUTF8 { send(.text, UnsafeRawBufferPointer($0), compress: compress, orWait: waiter) }
    case .binary(let payload):
      payload.withUnsafeBytes { send(.binary, $0, compress: compress, orWait: waiter) }
    }
  }
}
