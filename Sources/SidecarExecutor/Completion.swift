internal import Dispatch

/// How a wait ended.
package enum WaitResult<Value: Sendable>: Sendable {
  case value(Value)
  case timedOut
  case cancelled
}

/// A value that is set once, and that any number of tasks and threads can wait for.
///
/// Every wait ends: with the value, at its deadline, or (for a task) at its cancellation. Deadlines do not depend on
/// the sidecar thread, which may be held by a user's closure, nor on the concurrency pool, which may be full.
package final class Completion<Value: Sendable>: Sendable {
  private enum Waiter {
    case task(CheckedContinuation<WaitResult<Value>, Never>)
    case thread(DispatchSemaphore)
    case closure(@Sendable (Value) -> Void)
  }

  private struct State {
    var value: Value?
    var waiters: [UInt64: Waiter] = [:]
    var nextID: UInt64 = 0

    mutating func newID() -> UInt64 {
      nextID += 1
      return nextID
    }
  }

  private let state = Locked(State())

  package init() {}

  /// The value, if it is there.
  package var current: Value? { state.withLock { $0.value } }

  /// How many are waiting. Whoever has given up must not be among them.
  package var waiterCount: Int { state.withLock { $0.waiters.count } }

  /// Sets the value and ends every wait; returns false, and does nothing, if there was one already.
  @discardableResult
  package func complete(_ value: Value) -> Bool {
    var waiters: [UInt64: Waiter] = [:]
    let isFirst = state.withLock { state in
      guard state.value == nil else { return false }
      state.value = value
      swap(&waiters, &state.waiters)
      return true
    }
    for waiter in waiters.values {
      switch waiter {
      case .task(let continuation): continuation.resume(returning: .value(value))
      case .thread(let semaphore): semaphore.signal()
      case .closure: break
      }
    }
    // Last: a closure may lead to code of the application's, which blocks, and no call may wait for that.
    for case .closure(let closure) in waiters.values { closure(value) }
    return isFirst
  }

  /// Runs `body` with the value: at once if it is there, otherwise on the thread that sets it.
  package func whenComplete(_ body: @escaping @Sendable (Value) -> Void) {
    let value: Value? = state.withLock { state in
      if let value = state.value { return value }
      state.waiters[state.newID()] = .closure(body)
      return nil
    }
    if let value { body(value) }
  }

  /// Blocks the calling thread until the value is there or the deadline has passed (then: nil).
  ///
  /// Must not be called on a sidecar thread, nor in a task.
  package func wait(until deadline: Deadline) -> Value? {
    let semaphore = DispatchSemaphore(value: 0)
    var id: UInt64 = 0
    let value: Value? = state.withLock { state in
      if let value = state.value { return value }
      id = state.newID()
      state.waiters[id] = .thread(semaphore)
      return nil
    }
    if let value { return value }
    _ = semaphore.wait(timeout: deadline.dispatchTime)
    return state.withLock { state in
      state.waiters[id] = nil
      return state.value
    }
  }

  /// Suspends until the value is there, the deadline has passed or the task is cancelled.
  package func value(until deadline: Deadline = .never) async -> WaitResult<Value> {
    if let value = current { return .value(value) }
    let id = state.withLock { $0.newID() }
    let timer = DeadlineTimer(deadline) { self.giveUp(id, .timedOut) }
    defer { timer.cancel() }
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        // The timer and the cancellation may already have come, and found nobody to resume: look again under the lock.
        let result: WaitResult<Value>? = state.withLock { state in
          if let value = state.value { return .value(value) }
          if Task.isCancelled { return .cancelled }
          if deadline.hasPassed { return .timedOut }
          state.waiters[id] = .task(continuation)
          return nil
        }
        if let result { continuation.resume(returning: result) }
      }
    } onCancel: {
      giveUp(id, .cancelled)
    }
  }

  /// Suspends until the value is there, whatever becomes of the task. For values that are certain to come.
  package func uncancellableValue() async -> Value {
    await withCheckedContinuation { continuation in
      whenComplete { continuation.resume(returning: $0) }
    }
  }

  private func giveUp(_ id: UInt64, _ result: WaitResult<Value>) {
    let waiter = state.withLock { $0.waiters.removeValue(forKey: id) }
    if case .task(let continuation) = waiter { continuation.resume(returning: result) }
  }
}
