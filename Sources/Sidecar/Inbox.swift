internal import SidecarExecutor
public import WebSocketProtocol

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
    /// Receivers that found nothing, in the order they asked. Not empty only while no message waits.
    var waiters: [Completion<Reception>] = []
    var end: InboxEnd?
    var readingIsPaused = false
    var resumeReading: (@Sendable () -> Void)?
  }

  private let front = Locked(MessageQueue())
  private let back = Locked(Back())
  private let capacity: Int

  /// Makes an empty inbox that pauses reading when `capacity` bytes wait.
  init(capacity: Int) {
    self.capacity = capacity
  }

  // MARK: From the sidecar thread

  /// Says how to go on reading once a receiver has made room. Called on the receiver's thread.
  func onRoom(_ resumeReading: @escaping @Sendable () -> Void) {
    back.withLock { $0.resumeReading = resumeReading }
  }

  /// Takes `messages`, whose ``cost(of:)`` is `cost` in all, and leaves an empty queue; returns whether reading has to
  /// pause.
  ///
  /// After the end, they are discarded: by then the application has said that it does not want them.
  func deliver(_ messages: inout MessageQueue, cost: Int) -> Bool {
    var handedOver: [(Completion<Reception>, QueuedMessage)] = []
    let mustPause = back.withLock { back in
      guard back.end == nil else {
        messages = MessageQueue()
        return false
      }
      back.cost += cost
      // What goes to a waiting receiver does not wait in the queue.
      while !back.waiters.isEmpty, let message = messages.popFirst() {
        back.cost -= Inbox.cost(of: message)
        handedOver.append((back.waiters.removeFirst(), message))
      }
      back.messages.append(movingFrom: &messages)
      back.readingIsPaused = back.cost >= capacity
      return back.readingIsPaused
    }
    for (waiter, message) in handedOver { waiter.complete(.message(message.message)) }
    return mustPause
  }

  // MARK: From anywhere

  /// Says that no more messages come. The first end counts. With `discarding`, messages that nobody has taken are
  /// dropped, and the end is met at once; otherwise it is met behind them.
  func finish(_ end: InboxEnd, discarding: Bool) {
    var waiters: [Completion<Reception>] = []
    var droppedFront = MessageQueue()
    var droppedBack = MessageQueue()
    front.withLock { front in
      back.withLock { back in
        if back.end == nil { back.end = end }
        swap(&waiters, &back.waiters)
        guard discarding else { return }
        back.cost = 0
        swap(&droppedBack, &back.messages)
        swap(&droppedFront, &front)
      }
    }
    for waiter in waiters { waiter.complete(.end(end)) }
  }

  /// Takes the next message if one is at the front, which is nearly always so where there are many.
  @usableFromInline
  func nextAtFront() -> WebSocketMessage? {
    front.withLock { $0.popFirst() }?.message
  }

  /// Takes the next message or the end; nil if neither is there.
  func next() -> Reception? {
    next(orWait: nil)
  }

  /// Suspends for the next message or the end, at most until `deadline`.
  func next(until deadline: Deadline) async -> Reception {
    if let reception = next() { return reception }
    let waiter = Completion<Reception>()
    if let reception = next(orWait: waiter) { return reception }
    switch await waiter.value(until: deadline) {
    case .value(let reception): return reception
    case .timedOut: return withdraw(waiter) ? .timedOut : await waiter.uncancellableValue()
    case .cancelled: return withdraw(waiter) ? .cancelled : await waiter.uncancellableValue()
    }
  }

  /// Blocks the calling thread for the next message or the end, at most until `deadline`.
  func waitForNext(until deadline: Deadline) -> Reception {
    if let reception = next() { return reception }
    let waiter = Completion<Reception>()
    if let reception = next(orWait: waiter) { return reception }
    if let reception = waiter.wait(until: deadline) { return reception }
    if withdraw(waiter) { return .timedOut }
    // Taken off the list by someone who is about to complete it.
    return waiter.wait(until: .never) ?? .timedOut
  }

  /// Takes the next message or the end; without either, notes `waiter` to be told.
  private func next(orWait waiter: Completion<Reception>?) -> Reception? {
    var resumeReading: (@Sendable () -> Void)?
    var end: InboxEnd?
    let message = front.withLock { front in
      if front.isEmpty { end = refill(&front, orWait: waiter, &resumeReading) }
      return end == nil ? front.popFirst() : nil
    }
    resumeReading?()
    if let end { return .end(end) }
    return message.map { .message($0.message) }
  }

  /// Moves the back over to the empty front.
  private func refill(
    _ front: inout MessageQueue, orWait waiter: Completion<Reception>?,
    _ resumeReading: inout (@Sendable () -> Void)?
  ) -> InboxEnd? {
    front.shrink()
    return back.withLock { back in
      guard !back.messages.isEmpty else {
        if let end = back.end { return end }
        if let waiter { back.waiters.append(waiter) }
        return nil
      }
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
  var hasWaiters: Bool { back.withLock { !$0.waiters.isEmpty } }

  /// Takes a waiter back; false if it has been, or is just being, given something.
  private func withdraw(_ waiter: Completion<Reception>) -> Bool {
    back.withLock { back in
      guard let index = back.waiters.firstIndex(where: { $0 === waiter }) else { return false }
      back.waiters.remove(at: index)
      return true
    }
  }
}
