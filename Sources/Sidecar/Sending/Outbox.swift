internal import SidecarExecutor
internal import SidecarTransport
internal import Synchronization
internal import SidecarProtocol

/// The bounded queue of bytes between whoever sends and the socket.
///
/// A message is framed and masked on the sender's thread, straight into the queue. Who writes the queue to the socket is
/// settled by a *turn*, which one side holds at a time:
/// - **The sender**, when the connection is idle: it writes its frame from where it stands, and a lone request pays no
///   wake-up.
/// - **The sidecar thread** otherwise: in a burst the senders only queue, and it writes many frames in one system call.
///
/// The socket is closed only when nobody holds the turn, so a sender can never write to a descriptor that was closed
/// and given to somebody else.
///
/// Bounded by bytes: when `highWatermark` of them wait, senders have to, until half of them are written. A message is
/// admitted whole as long as the queue is below the watermark, so the queue holds at most the watermark and one message
/// for each sender.
final class Outbox: Sendable {
  /// How the attempt to queue a message ended.
  enum EnqueueResult: Sendable {
    case admitted
    /// The connection is not open yet.
    case notOpen
    /// The queue is full; the waiter that was passed is completed when there is room, or no hope.
    case full
    case failed(WebSocketError)
  }

  private enum Phase {
    case notOpen
    /// Closing has begun before the connection is open, which it may still become: its Close frame has to go out then.
    case refusingUnopened(WebSocketError)
    case open
    /// Closing has begun: no new messages, but control frames still go out.
    case refusing(WebSocketError)
    /// Our Close frame is queued: nothing may follow it (RFC 6455 §5.5.1).
    case closeQueued(WebSocketError)
    case ended(WebSocketError)
  }

  private enum Turn { case nobody, sender, sidecar }

  private struct State: ~Copyable {
    var phase = Phase.notOpen
    var turn = Turn.nobody
    /// Present from opening until the sidecar thread closes it.
    var socket: StreamSocket?
    /// Frames, in the order they were sent.
    var queue = ByteBuffer()
    /// What a sender could not write in its turn. Goes before the queue.
    var returned = ByteBuffer()
    /// Bytes in `queue`, in `returned` and in the hands of whoever has the turn.
    var unwritten = 0
    var waiters: [Promise<Void>] = []
    /// The Pong that answers the latest Ping. Framed when it can be written, so that a peer that sends Pings and does
    /// not read is owed one Pong and not one for each (RFC 6455 §5.5.3).
    var pong: WebSocketPayload?
    /// What the Close frame said that was queued by ``close(_:)``, until the sidecar takes note of it.
    var closeFromElsewhere: ClosePayload?
    var maskKeys = MaskKeySource()
    var lastTurn = MonotonicInstant.now
    /// Makes the sidecar thread call `takeTurn` soon.
    var requestFlush: (@Sendable () -> Void)?
  }

  /// Two sends that are closer to each other than this, with nothing received between them, are a burst.
  private static let burstGap = Duration.microseconds(50)
  /// An emptied buffer larger than this is given back.
  static let keptCapacity = 256 * 1024

  /// What senders compress with, one after the other, on their own threads. Once it is set up the loop never takes its
  /// lock; the sidecar thread does for what a message handler, or a task there, sends itself, and may then wait while
  /// another sender compresses one message. Its lock is taken before the state's.
  private struct Compressor: ~Copyable {
    var deflater: Deflater?
    var buffer = ByteBuffer()
  }

  private let state = Locked(State())
  private let compressor = Locked(Compressor())
  /// Messages of at least this size are compressed; none is until that has been agreed on.
  private let compressionThreshold = Atomic(Int.max)
  private let highWatermark: Int
  private let thread: SidecarThread
  private let responseHint: ResponseHint

  /// Makes the outbox of a connection that is not open yet, whose sidecar runs on `thread`.
  init(highWatermark: Int, thread: SidecarThread, responseHint: ResponseHint) {
    self.highWatermark = highWatermark
    self.thread = thread
    self.responseHint = responseHint
  }

  // MARK: From any thread

  /// Queues a data message, and writes it if the connection is idle.
  func send(
    _ kind: MessageKind, _ payload: UnsafeRawBufferPointer, compress: Bool = true, orWait waiter: Promise<Void>?
  ) -> EnqueueResult {
    guard compress, payload.count >= compressionThreshold.load(ordering: .acquiring) else {
      return queue(kind, payload, isCompressed: false, orWait: waiter)
    }
    // Looked at first: compressing changes the window that the next message is compressed with.
    if let refused = state.withLock({ refusal(&$0, orWait: waiter) }) { return refused }
    return compressor.withLock { compressor in
      defer { compressor.buffer.removeAll(keepingCapacityUpTo: Outbox.keptCapacity) }
      compressor.deflater?.compress(payload, into: &compressor.buffer)
      return queue(kind, compressor.buffer.bytes, isCompressed: true, orWait: nil)
    }
  }

  /// Why nothing can be queued now, if so; notes the waiter if the reason is that there is no room.
  private func refusal(_ state: inout State, orWait waiter: Promise<Void>?) -> EnqueueResult? {
    switch state.phase {
    case .notOpen: return .notOpen
    case .refusingUnopened(let error), .refusing(let error), .closeQueued(let error), .ended(let error):
      return .failed(error)
    case .open:
      guard state.unwritten >= highWatermark else { return nil }
      if let waiter { state.waiters.append(waiter) }
      return .full
    }
  }

  private func queue(
    _ kind: MessageKind, _ payload: UnsafeRawBufferPointer, isCompressed: Bool, orWait waiter: Promise<Void>?
  ) -> EnqueueResult {
    let onSidecarThread = thread.isCurrent
    var mine = ByteBuffer()
    var socket: StreamSocket?
    var requestFlush: (@Sendable () -> Void)?
    let refused: EnqueueResult? = state.withLock { state in
      // What is compressed has been admitted before, and can't be taken back.
      if let refused = refusal(&state, orWait: isCompressed ? nil : waiter) {
        guard isCompressed, case .full = refused else { return refused }
      }
      Outbox.append(Opcode(kind), payload, rsv1: isCompressed, to: &state)
      guard state.turn == .nobody else { return nil }
      if !onSidecarThread, shouldWriteInline(&state) {
        state.turn = .sender
        socket = state.socket
        swap(&mine, &state.queue)
      } else {
        state.turn = .sidecar
        requestFlush = state.requestFlush
      }
      return nil
    }
    if let socket { write(&mine, to: socket) }
    requestFlush?()
    return refused ?? .admitted
  }

  private static func append(
    _ opcode: Opcode, _ payload: UnsafeRawBufferPointer, rsv1: Bool = false, to state: inout State
  ) {
    let before = state.queue.count
    guard let key = try? state.maskKeys.nextKey() else {
      preconditionFailure("The kernel has no random bytes to give.")
    }
    FrameWriter.append(opcode, rsv1: rsv1, payload: payload, maskKey: key, to: &state.queue)
    state.unwritten += state.queue.count - before
  }

  /// Whether a message that found the queue empty should be written by its sender.
  private func shouldWriteInline(_ state: inout State) -> Bool {
    // What is sent behind something received is likely to be an answer.
    if responseHint.ask() { return true }
    let now = MonotonicInstant.now
    defer { state.lastTurn = now }
    return state.lastTurn.duration(to: now) > Outbox.burstGap
  }

  /// The sender's turn: one write, and the rest to the sidecar.
  private func write(_ mine: inout ByteBuffer, to socket: StreamSocket) {
    // A failure leaves the bytes where they are; the sidecar meets it again, and knows what to do.
    if case .bytes(let count) = socket.write(mine.bytes) { mine.consume(count) }
    if mine.isEmpty { mine.removeAll(keepingCapacityUpTo: Outbox.keptCapacity) }
    var waiters: [Promise<Void>] = []
    let requestFlush: (@Sendable () -> Void)? = state.withLock { state in
      if case .ended = state.phase {
        // The sidecar has left the socket open for us.
        state.turn = .sidecar
        return state.requestFlush
      }
      state.unwritten = state.queue.count + mine.count
      waiters = takeWaitersIfThereIsRoom(&state)
      if mine.isEmpty, state.queue.isEmpty, state.pong == nil {
        state.turn = .nobody
        swap(&mine, &state.queue)
        return nil
      }
      state.turn = .sidecar
      swap(&mine, &state.returned)
      return state.requestFlush
    }
    if let requestFlush { requestFlush() } else { responseHint.hasAsked() }
    for waiter in waiters { waiter.complete(()) }
  }

  /// Takes a waiter back; false if it has been, or is just being, completed.
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
      return Outbox.takeWaiters(&state)
    }
    for waiter in waiters { waiter.complete(()) }
  }

  /// Queues the Close frame, behind ``refuse(_:)`` and if the connection is open, and writes it if nobody else is writing: so the
  /// peer answers while the sidecar thread is still being woken. Not for the sidecar thread, which has to take note of it by
  /// ``takeCloseFromElsewhere()`` before it judges what the peer has sent.
  func close(_ payload: ClosePayload) {
    var mine = ByteBuffer()
    let socket: StreamSocket? = state.withLock { state in
      guard payload.withUnsafeBytes({ Outbox.queueClose($0, &state) }) else { return nil }
      state.closeFromElsewhere = payload
      guard state.turn == .nobody else { return nil }
      state.turn = .sender
      swap(&mine, &state.queue)
      return state.socket
    }
    if let socket { write(&mine, to: socket) }
  }

  /// Queues the Close frame; returns false, and does nothing, if there is one, or none may be sent.
  private static func queueClose(_ payload: UnsafeRawBufferPointer, _ state: inout State) -> Bool {
    guard case .refusing(let error) = state.phase else { return false }
    framePong(&state)
    append(.connectionClose, payload, to: &state)
    state.phase = .closeQueued(error)
    return true
  }

  /// Drops what is queued; sends fail with `error` from now on. Those that wait for room have been released by
  /// ``refuse(_:)``.
  ///
  /// Returns whether the socket may be closed now. Otherwise a sender has the turn; when it is through, it requests a
  /// flush.
  @discardableResult
  func end(_ error: WebSocketError) -> Bool {
    var dropped = ByteBuffer()
    return state.withLock { state in
      state.phase = .ended(error)
      swap(&dropped, &state.queue)
      state.returned.removeAll(keepingCapacityUpTo: 0)
      state.pong = nil
      state.unwritten = 0
      return state.turn != .sender
    }
  }

  /// Makes every read and write of the socket fail, if it is open. The descriptor stays open until the sidecar thread
  /// closes it.
  func abortSocket() {
    state.withLock { state in
      state.socket?.abort()
    }
  }

  /// Gives the descriptor back. Only on the sidecar thread, and only after ``end(_:)`` has returned true.
  func closeSocket() {
    let socket = state.withLock { state in
      defer { state.socket = nil }
      return state.socket
    }
    socket?.close()
  }

  private static func takeWaiters(_ state: inout State) -> [Promise<Void>] {
    defer { state.waiters = [] }
    return state.waiters
  }

  private func takeWaitersIfThereIsRoom(_ state: inout State) -> [Promise<Void>] {
    state.unwritten <= highWatermark / 2 && !state.waiters.isEmpty ? Outbox.takeWaiters(&state) : []
  }

  // MARK: From the sidecar thread

  /// Takes the socket, as soon as there is one: ``abortSocket()`` has to find it, although nothing may be sent yet.
  func take(_ socket: StreamSocket) {
    state.withLock { $0.socket = socket }
  }

  /// Lets sends through, behind ``take(_:)``. `requestFlush` makes the sidecar thread call ``takeTurn(_:)`` soon; it is called from any
  /// thread.
  func open(requestFlush: @escaping @Sendable () -> Void) {
    state.withLock { state in
      state.requestFlush = requestFlush
      switch state.phase {
      case .notOpen: state.phase = .open
      case .refusingUnopened(let error): state.phase = .refusing(error)
      case .open, .refusing, .closeQueued, .ended: break
      }
    }
  }

  /// Compresses from now on what is not smaller than the threshold: the server has agreed.
  func compress(_ agreement: PermessageDeflate.Agreement, _ options: WebSocketCompression) {
    compressor.withLock { $0.deflater = Deflater(agreement, role: .client, level: options.level) }
    compressionThreshold.store(options.threshold, ordering: .releasing)
  }

  /// Queues a control frame, whatever the watermark says; the caller flushes.
  func sendControl(_ opcode: Opcode, _ payload: UnsafeRawBufferPointer) {
    state.withLock { state in
      switch state.phase {
      case .open, .refusing: Outbox.append(opcode, payload, to: &state)
      case .notOpen, .refusingUnopened, .closeQueued, .ended: break
      }
    }
  }

  /// Answers a Ping, in place of an earlier one whose Pong has not been framed yet; the caller flushes.
  func sendPong(_ payload: WebSocketPayload) {
    state.withLock { state in
      switch state.phase {
      case .open, .refusing: state.pong = payload
      case .notOpen, .refusingUnopened, .closeQueued, .ended: break
      }
    }
  }

  private static func framePong(_ state: inout State) {
    guard let pong = state.pong else { return }
    state.pong = nil
    pong.withUnsafeBytes { append(.pong, $0, to: &state) }
  }

  /// Queues the Close frame; every send after it fails.
  func sendClose(_ payload: UnsafeRawBufferPointer, refusingWith error: WebSocketError) {
    refuse(error)
    _ = state.withLock { Outbox.queueClose(payload, &$0) }
  }

  /// What a Close frame said that was queued elsewhere, if there is one that was not taken note of.
  func takeCloseFromElsewhere() -> ClosePayload? {
    state.withLock { state in
      defer { state.closeFromElsewhere = nil }
      return state.closeFromElsewhere
    }
  }

  /// Swaps what is to be written next into the empty `buffer` and takes the turn. Returns false, and gives the turn
  /// back, if there is nothing; false too while a sender has it.
  func takeTurn(_ buffer: inout ByteBuffer) -> Bool {
    state.withLock { state in
      guard state.turn != .sender else { return false }
      if !state.returned.isEmpty {
        swap(&buffer, &state.returned)
      } else {
        Outbox.framePong(&state)
        guard !state.queue.isEmpty else {
          state.turn = .nobody
          return false
        }
        swap(&buffer, &state.queue)
      }
      state.turn = .sidecar
      return true
    }
  }

  /// Counts bytes as written, and lets senders go on that wait for room.
  func wrote(_ count: Int) {
    let waiters: [Promise<Void>] = state.withLock { state in
      state.unwritten -= min(count, state.unwritten)
      return takeWaitersIfThereIsRoom(&state)
    }
    for waiter in waiters { waiter.complete(()) }
  }

  /// Whether a sender waits for room.
  var hasWaiters: Bool { state.withLock { !$0.waiters.isEmpty } }

  /// Bytes that wait to be written.
  var unwrittenByteCount: Int { state.withLock { $0.unwritten } }
}
