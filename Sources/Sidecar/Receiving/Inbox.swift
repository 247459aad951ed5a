internal import SidecarExecutor
internal import Synchronization
public import SidecarProtocol

/// Why no more messages will come.
enum InboxEnd: Sendable {
  /// The connection was closed in order, by either side, or the sidecar was shut down.
  case orderly
  /// The connection ended with an error, or the peer closed it with a code that says something is wrong.
  case failed(WebSocketError)
}

/// What came of asking for the next message.
enum Reception: Sendable {
  case message(WebSocketMessage)
  case end(InboxEnd)
  case timedOut
  case cancelled
}

/// The bounded queue of messages between the sidecar thread and whoever receives.
///
/// Two halves with a lock each. The sidecar thread appends a whole read's messages to the *back*, under one lock. A
/// receiver takes from the *front*, and only when that is empty moves the whole back over: so the two sides meet once a
/// batch, not once a message. Several receivers may ask at the same time; each message goes to exactly one of them,
/// to whoever asks first.
///
/// Bounded by bytes: when the back holds `capacity` of them, the connection is told to stop reading, until a receiver
/// takes the back. So at most twice the capacity, and what one turn at the socket brings, is held. Every message is charged an
/// overhead, because a queue of empty messages needs memory too.
///
/// Locks are taken front before back, never the other way.
@usableFromInline
final class Inbox: Sendable {
  /// What a message costs beside its bytes: its entry in the queue, and its share of the storage.
  static let overheadPerMessage = 48

  /// What a message is charged.
  static func cost(of message: QueuedMessage) -> Int { message.byteCount + overheadPerMessage }

  private struct Back: ~Copyable {
    var messages = MessageQueue()
    var cost = 0
    /// Receivers that found nothing. Not empty only while no message waits.
    var waiting = WaitingReceivers()
    var end: InboxEnd?
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

  // MARK: From the sidecar thread

  /// Says how to go on reading once a receiver has made room. Called on the receiver's thread.
  func onDrain(_ resumeReading: @escaping @Sendable () -> Void) {
    back.withLock { $0.resumeReading = resumeReading }
  }

  /// Takes `messages`, which are charged `cost` in all, at least ``cost(of:)`` each, and leaves an empty queue; returns
  /// whether reading has to pause.
  ///
  /// After the end, they are discarded: by then the application has said that it does not want them.
  func deliver(_ messages: inout MessageQueue, cost: Int) -> Bool {
    // Hardly ever more than one receiver waits, and an array for it would be an allocation a message.
    var first: (WaitingReceiver, QueuedMessage)?
    var others: [(WaitingReceiver, QueuedMessage)] = []
    let mustPause = back.withLock { back in
      guard back.end == nil else {
        messages = MessageQueue()
        return false
      }
      back.cost += cost
      // What goes to a waiting receiver does not wait in the queue.
      while !back.waiting.isEmpty, let message = messages.popFirst(), let receiver = back.waiting.popFirst() {
        back.cost -= Inbox.cost(of: message)
        if first == nil { first = (receiver, message) } else { others.append((receiver, message)) }
        responseHint.setAwaited(!back.waiting.isEmpty)
      }
      // The charge may be for more than each message: memory that several of them share.
      if messages.isEmpty, back.messages.isEmpty { back.cost = 0 }
      back.messages.append(movingFrom: &messages)
      back.readingIsPaused = back.cost >= capacity
      return back.readingIsPaused
    }
    // Only now: a receiver that is woken finds the rest of the messages, and need not wait again.
    if let (receiver, message) = first { receiver.receive(.message(message)) }
    for (receiver, message) in others { receiver.receive(.message(message)) }
    return mustPause
  }

  // MARK: From anywhere

  /// Says that no more messages come. The first end counts. With `discarding`, messages that nobody has taken are
  /// dropped, and the end is met at once; otherwise it is met behind them.
  func finish(_ end: InboxEnd, discarding: Bool) {
    var receivers: [WaitingReceiver] = []
    var droppedFront = MessageQueue()
    var droppedBack = MessageQueue()
    front.withLock { front in
      back.withLock { back in
        if back.end == nil { back.end = end }
        receivers = back.waiting.removeAll()
        responseHint.setAwaited(false)
        guard discarding else { return }
        back.cost = 0
        swap(&droppedBack, &back.messages)
        swap(&droppedFront, &front)
      }
    }
    for receiver in receivers { receiver.receive(.end(end)) }
  }

  /// Takes the next message if one is at the front, which is nearly always so where there are many.
  @usableFromInline
  func nextAtFront() -> WebSocketMessage? {
    front.withLock { $0.popMessage() }
  }

  /// Takes the next message or the end; nil if neither is there.
  func next() -> Reception? {
    next { _ in nil }?.reception
  }

  /// Suspends for the next message or the end, at most until `deadline`.
  ///
  /// In a task that is cancelled, no more messages are moved to the front unless they are the last ones: or a loop over
  /// messages that never stop coming would not end.
  func next(until deadline: Deadline) async -> Reception {
    if let handover = next(isCancelled: Task.isCancelled, orElse: { _ in nil }) { return handover.reception }
    responseHint.receiverWaits()
    let id = newWaitID()
    let timer = deadline == .never ? nil : DeadlineTimer(deadline) { self.giveUp(id, .timedOut) }
    defer { timer?.cancel() }
    return await withTaskCancellationHandler {
      await TaskWaiter.wait { task in
        // The timer and the cancellation may already have come, and found nobody to resume: look again under the lock.
        let handover = next { back in
          if Task.isCancelled { return .cancelled }
          if deadline.hasPassed { return .timedOut }
          back.waiting.append(.task(task), id: id)
          responseHint.setAwaited(true)
          return nil
        }
        if let handover { task.resume(returning: handover) }
      }
    } onCancel: {
      giveUp(id, .cancelled)
    }.reception
  }

  /// Blocks the calling thread for the next message or the end, at most until `deadline`.
  func waitForNext(until deadline: Deadline) -> Reception {
    responseHint.receiverWaits()
    let id = newWaitID()
    var waiting: ThreadWaiter?
    let handover = next { back in
      let thread = back.waiting.idleThread ?? ThreadWaiter()
      back.waiting.idleThread = nil
      back.waiting.append(.thread(thread), id: id)
      responseHint.setAwaited(true)
      waiting = thread
      return nil
    }
    if let handover { return handover.reception }
    guard let waiting else { return .timedOut }
    if !waiting.wait(until: deadline) {
      giveUp(id, .timedOut)
      // It is this thread itself that gives up, or somebody who is just giving it something.
      _ = waiting.wait(until: .never)
    }
    let given = waiting.takeHandover()
    back.withLock { $0.waiting.idleThread = waiting }
    return given.reception
  }

  private func newWaitID() -> UInt64 {
    nextWaitID.wrappingAdd(1, ordering: .relaxed).newValue
  }

  /// Ends the wait of one receiver, unless it is, or was, given something.
  private func giveUp(_ id: UInt64, _ handover: Handover) {
    let receiver = back.withLock { back in
      defer { responseHint.setAwaited(!back.waiting.isEmpty) }
      return back.waiting.remove(id)
    }
    receiver?.receive(handover)
  }

  /// Takes the next message or the end; without either, does what `orElse` says about the back. For a task that is cancelled,
  /// nothing is moved to the front that is not the last.
  private func next(isCancelled: Bool = false, orElse: (inout Back) -> Handover?) -> Handover? {
    var resumeReading: (@Sendable () -> Void)?
    let handover: Handover? = front.withLock { front in
      if front.isEmpty, let other = refill(&front, isCancelled: isCancelled, orElse: orElse, &resumeReading) {
        return other
      }
      return front.popMessage().map { .message(.ready($0)) }
    }
    resumeReading?()
    return handover
  }

  /// Moves the back over to the empty front; or returns what there is in place of a message.
  private func refill(
    _ front: inout MessageQueue, isCancelled: Bool, orElse: (inout Back) -> Handover?,
    _ resumeReading: inout (@Sendable () -> Void)?
  ) -> Handover? {
    front.shrink()
    return back.withLock { back in
      guard !back.messages.isEmpty else { return back.end.map { .end($0) } ?? orElse(&back) }
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

  /// Whether so many messages wait that reading is paused.
  var isFull: Bool { back.withLock { $0.readingIsPaused } }

  /// How many messages nobody has taken yet.
  var unreadCount: Int { front.withLock { front in front.count + back.withLock { $0.messages.count } } }

  /// Whether a receiver is waiting.
  var hasWaiters: Bool { back.withLock { !$0.waiting.isEmpty } }
}
