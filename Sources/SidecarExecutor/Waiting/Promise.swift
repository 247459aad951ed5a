/// How a wait ended.
@usableFromInline
package enum WaitResult<Value: Sendable>: Sendable {
  case value(Value)
  case timedOut
  case cancelled
}

/// A value that is set once, and that any number of tasks and threads can wait for.
///
/// Every wait ends: with the value, at its deadline, or (for a task) at its cancellation. Deadlines depend neither on
/// the sidecar's thread, which application code may block, nor on Swift's cooperative thread pool, which may be full.
///
/// Inlinable, so that it is compiled for each type of value: generic code would make a wait ten times as expensive.
@usableFromInline
package final class Promise<Value: Sendable>: Sendable {
  @usableFromInline
  enum Waiter {
    case task(TaskWaiter<WaitResult<Value>>)
    case thread(Semaphore)
    case closure(@Sendable (Value) -> Void)
  }

  @usableFromInline
  struct State {
    @usableFromInline var value: Value?
    /// In the order in which they began to wait; rarely more than one or two.
    @usableFromInline var waiters: [(id: UInt64, waiter: Waiter)] = []
    @usableFromInline var nextID: UInt64 = 0

    @inlinable init() {}

    @inlinable mutating func newID() -> UInt64 {
      nextID &+= 1
      return nextID
    }

    @inlinable mutating func removeWaiter(_ id: UInt64) -> Waiter? {
      guard let index = waiters.firstIndex(where: { $0.id == id }) else { return nil }
      return waiters.remove(at: index).waiter
    }
  }

  @usableFromInline let state: Locked<State>

  @inlinable
  package init() {
    state = Locked(State())
  }

  /// The value, if it is there.
  @inlinable package var current: Value? { state.withLock { $0.value } }

  /// How many are waiting. A wait that has given up is not counted.
  @inlinable package var waiterCount: Int { state.withLock { $0.waiters.count } }

  /// Sets the value and ends every wait.
  ///
  /// - Returns: False, without effect, if there was a value already.
  @discardableResult
  @inlinable
  package func complete(_ value: Value) -> Bool {
    var waiters: [(id: UInt64, waiter: Waiter)] = []
    let isFirst = state.withLock { state in
      guard state.value == nil else { return false }
      state.value = value
      swap(&waiters, &state.waiters)
      return true
    }
    for (_, waiter) in waiters {
      switch waiter {
      case .task(let task): task.resume(returning: .value(value))
      case .thread(let semaphore): semaphore.signal()
      case .closure: break
      }
    }
    // Last: a closure may run the application's code, which may block, and no wait may depend on that.
    for case (_, .closure(let closure)) in waiters { closure(value) }
    return isFirst
  }

  /// Runs `body` with the value: at once if it is there, otherwise on the thread that sets it.
  @inlinable
  package func whenComplete(_ body: @escaping @Sendable (Value) -> Void) {
    let value: Value? = state.withLock { state in
      if let value = state.value { return value }
      state.waiters.append((state.newID(), .closure(body)))
      return nil
    }
    if let value { body(value) }
  }

  /// Blocks the calling thread until the value is there or the deadline has passed.
  ///
  /// Must not be called on a sidecar thread, nor in a task.
  ///
  /// - Returns: The value, or nil at the deadline.
  @inlinable
  package func wait(until deadline: Deadline) -> Value? {
    let semaphore = Semaphore()
    var id: UInt64 = 0
    let value: Value? = state.withLock { state in
      if let value = state.value { return value }
      id = state.newID()
      state.waiters.append((id, .thread(semaphore)))
      return nil
    }
    if let value { return value }
    _ = semaphore.wait(until: deadline)
    return state.withLock { state in
      _ = state.removeWaiter(id)
      return state.value
    }
  }

  /// Suspends until the value is there, the deadline has passed or the task is cancelled.
  @inlinable
  package func value(until deadline: Deadline = .never) async -> WaitResult<Value> {
    if let value = current { return .value(value) }
    let id = state.withLock { $0.newID() }
    let timer = deadline == .never ? nil : DeadlineTimer(deadline) { self.giveUp(id, .timedOut) }
    defer { timer?.cancel() }
    return await withTaskCancellationHandler {
      await TaskWaiter.wait { task in
        // The timer or the cancellation may have come before the task was on the list: look again under the lock.
        let result: WaitResult<Value>? = state.withLock { state in
          if let value = state.value { return .value(value) }
          if Task.isCancelled { return .cancelled }
          if deadline.hasPassed { return .timedOut }
          state.waiters.append((id, .task(task)))
          return nil
        }
        if let result { task.resume(returning: result) }
      }
    } onCancel: {
      giveUp(id, .cancelled)
    }
  }

  /// Suspends until the value is there, even if the task is cancelled. For values that are certain to come.
  @inlinable
  package func uncancellableValue() async -> Value {
    await TaskWaiter.wait { task in
      whenComplete { task.resume(returning: $0) }
    }
  }

  @usableFromInline
  func giveUp(_ id: UInt64, _ result: WaitResult<Value>) {
    let waiter = state.withLock { $0.removeWaiter(id) }
    if case .task(let task) = waiter { task.resume(returning: result) }
  }
}
