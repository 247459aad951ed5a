internal import SidecarExecutor
public import SidecarProtocol
internal import Synchronization

/// The bounded queue of messages between the sidecar's thread and receivers.
///
/// Two halves with a lock each. The sidecar's thread appends the messages of a turn to the *back* under one lock. A
/// receiver takes from the *front*, and moves the whole back over when the front is empty: so the two sides meet once a
/// batch, not once a message. Several receivers may ask at once; each message goes to exactly one of them, first come,
/// first served.
///
/// Bounded by bytes: when the back holds `capacity` of them, the connection stops reading until a receiver takes the
/// back. Soft limit, checked after each read turn: at most twice the capacity and one turn's messages are held.
/// Each message is charged an overhead, because a queue of empty messages needs memory too.
///
/// Lock order: front before back.
@usableFromInline
final class Inbox: Sendable {
  /// What a message is charged beside its bytes: its entry in the queue, and its share of the storage.
  static let overheadPerMessage = 48

  /// What a message is charged.
  static func cost(of message: QueuedMessage) -> Int { message.byteCount + overheadPerMessage }

  /// What to do with messages.
  private enum Intake {
    /// Keep them; stop reading when there are too many.
    case pausing

    /// Keep them as far as there is room, and count the others: the peer's Close frame must be found (RFC 6455 §7.1.2).
    case overflowing

    /// Drop them: the application has said that it wants none.
    case discarding
  }

  private struct Back: ~Copyable {
    var messages = MessageQueue()
    var cost = 0
    /// Receivers that found nothing. Not empty only while no message waits.
    var waiting = WaitingReceivers()
    var intake = Intake.pausing
    /// The application has asked for the end: receivers see an orderly one, however the connection ends.
    var endWasRequested = false
    /// Present once no more messages come.
    var end: ReceiveResult<QueuedMessage>?
    var overflowCount = 0
    var readingIsPaused = false
    var resumeReading: (@Sendable () -> Void)?
  }

  private let front = Locked(MessageQueue())
  private let back = Locked(Back())
  private let capacity: Int
  private let responseHint: ResponseHint
  private let nextWaitID = Atomic<UInt64>(0)

  /// Makes an empty inbox that pauses reading when `capacity` bytes wait.
  init(capacity: Int, responseHint: ResponseHint = ResponseHint()) {
    self.capacity = capacity
    self.responseHint = responseHint
  }

  // MARK: From the sidecar's thread

  /// Says how to resume reading once a receiver has made room. Called on the receiver's thread.
  func onDrain(_ resumeReading: @escaping @Sendable () -> Void) {
    back.withLock { $0.resumeReading = resumeReading }
  }

  /// Takes `messages`, which are charged `cost` in all (at least ``cost(of:)`` each), and leaves an empty queue.
  ///
  /// - Returns: True if reading has to pause.
  func deliver(_ messages: inout MessageQueue, cost: Int) -> Bool {
    // Hardly ever more than one receiver waits, and an array for it would be an allocation a message.
    var first: (WaitingReceiver, QueuedMessage)?
    var others: [(WaitingReceiver, QueuedMessage)] = []
    var dropped = MessageQueue()
    let mustPause = back.withLock { back in
      guard back.end == nil, back.intake != .discarding else {
        swap(&dropped, &messages)
        return false
      }
      let wasFull = back.cost >= capacity
      back.cost += cost
      // What goes to a waiting receiver does not wait in the queue.
      while !back.waiting.isEmpty, let message = messages.popFirst(), let receiver = back.waiting.popFirst() {
        back.cost -= Inbox.cost(of: message)
        if first == nil { first = (receiver, message) } else { others.append((receiver, message)) }
        responseHint.setReceiverIsWaiting(!back.waiting.isEmpty)
      }
      // The charge may be for more than each message: memory that several of them share.
      if messages.isEmpty, back.messages.isEmpty { back.cost = 0 }
      // Soft, as for a reader that pauses: what arrives while there is room is kept whole.
      if back.intake == .overflowing, wasFull {
        back.overflowCount += messages.count
        back.cost -= cost
        swap(&dropped, &messages)
        return false
      }
      back.messages.append(movingFrom: &messages)
      back.readingIsPaused = back.intake == .pausing && back.cost >= capacity
      return back.readingIsPaused
    }
    // After the lock: a receiver that is resumed finds the rest of the messages, and need not wait again.
    if let (receiver, message) = first { receiver.resume(returning: .message(message)) }
    for (receiver, message) in others { receiver.resume(returning: .message(message)) }
    return mustPause
  }

  // MARK: From anywhere

  /// Stops pausing the reader, because the closing handshake needs it: what comes over the capacity is dropped and
  /// counted.
  func letOverflow() {
    back.withLock { back in
      if back.intake == .pausing { back.intake = .overflowing }
      back.readingIsPaused = false
    }
  }

  /// How many messages were dropped because the inbox was full while the connection was closing.
  var overflowCount: Int { back.withLock { $0.overflowCount } }

  /// Drops all messages, those that wait and those that will come. Receivers go on waiting for the end.
  func discardAll() {
    var droppedFront = MessageQueue()
    var droppedBack = MessageQueue()
    front.withLock { front in
      back.withLock { back in
        back.intake = .discarding
        back.cost = 0
        back.readingIsPaused = false
        swap(&droppedBack, &back.messages)
        swap(&droppedFront, &front)
      }
    }
  }

  /// Says that no more messages come: `error` is nil if the end was orderly. The first end counts. It is met after the
  /// messages that wait.
  func finish(_ error: WebSocketError?) {
    let (receivers, end) = back.withLock { back in
      let end = ReceiveResult<QueuedMessage>.ended(back.endWasRequested ? nil : error)
      if back.end == nil { back.end = end }
      responseHint.setReceiverIsWaiting(false)
      return (back.waiting.removeAll(), end)
    }
    for receiver in receivers { receiver.resume(returning: end) }
  }

  /// Says that the application has asked for the end: receivers see an orderly one, however the connection ends.
  func requestEnd() {
    back.withLock { $0.endWasRequested = true }
  }

  /// Takes the next message if one is at the front, which is nearly always so where there are many.
  @usableFromInline
  func nextAtFront() -> WebSocketMessage? {
    front.withLock { $0.popMessage() }
  }

  /// Takes the next message or the end; nil if neither is there.
  func next() -> ReceiveResult<WebSocketMessage>? {
    next { _ in nil }?.map { $0.message }
  }

  /// Suspends for the next message or the end, at most until `deadline`.
  ///
  /// In a cancelled task, messages are moved to the front only if they are the last ones: otherwise a loop over
  /// messages that never stop coming would not end.
  func next(until deadline: Deadline) async -> ReceiveResult<WebSocketMessage> {
    if let result = next(isCancelled: Task.isCancelled, orElse: { _ in nil }) { return result.map { $0.message } }
    responseHint.receiverWillWait()
    let id = newWaitID()
    let timer = deadline == .never ? nil : DeadlineTimer(deadline) { self.giveUp(id, .timedOut) }
    defer { timer?.cancel() }
    return await withTaskCancellationHandler {
      await TaskWaiter.wait { task in
        // The timer or the cancellation may have come, and found no receiver to resume: check again under the lock.
        let result = next { back in
          if Task.isCancelled { return .cancelled }
          if deadline.hasPassed { return .timedOut }
          back.waiting.append(.task(task), id: id)
          responseHint.setReceiverIsWaiting(true)
          return nil
        }
        if let result { task.resume(returning: result) }
      }
    } onCancel: {
      giveUp(id, .cancelled)
    }.map { $0.message }
  }

  /// Blocks the calling thread for the next message or the end, at most until `deadline`.
  func waitForNext(until deadline: Deadline) -> ReceiveResult<WebSocketMessage> {
    responseHint.receiverWillWait()
    let id = newWaitID()
    var waiting: ThreadWaiter?
    let result = next { back in
      let thread = back.waiting.idleThread ?? ThreadWaiter()
      back.waiting.idleThread = nil
      back.waiting.append(.thread(thread), id: id)
      responseHint.setReceiverIsWaiting(true)
      waiting = thread
      return nil
    }
    if let result { return result.map { $0.message } }
    guard let waiting else { return .timedOut }
    if !waiting.wait(until: deadline) {
      giveUp(id, .timedOut)
      // Either this thread has just given up itself, or another is about to give it a result.
      _ = waiting.wait(until: .never)
    }
    let given = waiting.takeResult()
    back.withLock { $0.waiting.idleThread = waiting }
    return given.map { $0.message }
  }

  private func newWaitID() -> UInt64 {
    nextWaitID.wrappingAdd(1, ordering: .relaxed).newValue
  }

  /// Ends the wait of one receiver, unless it has been given a result.
  private func giveUp(_ id: UInt64, _ result: ReceiveResult<QueuedMessage>) {
    let receiver = back.withLock { back in
      defer { responseHint.setReceiverIsWaiting(!back.waiting.isEmpty) }
      return back.waiting.remove(id)
    }
    receiver?.resume(returning: result)
  }

  /// Takes the next message or the end; without either, does what `orElse` says about the back.
  private func next(
    isCancelled: Bool = false, orElse: (inout Back) -> ReceiveResult<QueuedMessage>?
  ) -> ReceiveResult<QueuedMessage>? {
    var resumeReading: (@Sendable () -> Void)?
    let result: ReceiveResult<QueuedMessage>? = front.withLock { front in
      if front.isEmpty, let other = refill(&front, isCancelled: isCancelled, orElse: orElse, &resumeReading) {
        return other
      }
      return front.popMessage().map { .message(.ready($0)) }
    }
    resumeReading?()
    return result
  }

  /// Moves the back over to the empty front; or returns what there is in place of a message.
  private func refill(
    _ front: inout MessageQueue, isCancelled: Bool, orElse: (inout Back) -> ReceiveResult<QueuedMessage>?,
    _ resumeReading: inout (@Sendable () -> Void)?
  ) -> ReceiveResult<QueuedMessage>? {
    front.shrink()
    return back.withLock { back in
      guard !back.messages.isEmpty else {
        return back.end ?? orElse(&back)
      }
      if isCancelled, back.end == nil { return .cancelled }
      swap(&front, &back.messages)
      back.cost = 0
      if back.readingIsPaused {
        back.readingIsPaused = false
        resumeReading = back.resumeReading
      }
      return nil
    }
  }

  /// True if reading is paused because the inbox is full.
  var isFull: Bool { back.withLock { $0.readingIsPaused } }

  /// How many messages have not been received.
  var unreadCount: Int { front.withLock { front in front.count + back.withLock { $0.messages.count } } }

  /// True if a receiver waits.
  var hasWaiters: Bool { back.withLock { !$0.waiting.isEmpty } }
}
