internal import SidecarExecutor

/// State that any thread can read, and that tasks and threads can wait for.
///
/// A wait is looked at again at every change, by whoever changes: nothing polls. Probes run under the lock, and are this
/// module's own.
final class ObservableState<State: Sendable>: Sendable {
  /// Looks at the state; returns what ends the wait if it is what is waited for.
  private typealias Waiter = @Sendable (State) -> (@Sendable () -> Void)?

  private struct Guarded {
    var state: State
    var waiters: [UInt64: Waiter] = [:]
    var nextID: UInt64 = 0
  }

  private let guarded: Locked<Guarded>

  init(_ state: State) {
    guarded = Locked(Guarded(state: state))
  }

  var current: State { guarded.withLock { $0.state } }

  func read<Value>(_ body: (State) -> Value) -> Value {
    guarded.withLock { body($0.state) }
  }

  /// Changes the state, and ends the waits for what it has become.
  @discardableResult
  func update<Result>(_ change: (inout State) -> Result) -> Result {
    var met: [@Sendable () -> Void] = []
    let result = guarded.withLock { guarded in
      let result = change(&guarded.state)
      for (id, waiter) in guarded.waiters {
        if let end = waiter(guarded.state) {
          guarded.waiters[id] = nil
          met.append(end)
        }
      }
      return result
    }
    // Outside the lock, as everything that wakes others.
    for end in met { end() }
    return result
  }

  /// Suspends until `probe` finds a value, the deadline has passed or the task is cancelled.
  func value<Value: Sendable>(
    until deadline: Deadline, _ probe: @escaping @Sendable (State) -> Value?
  ) async -> WaitResult<Value> {
    let found = Promise<Value>()
    let id = register(found, probe)
    let result = await found.value(until: deadline)
    forget(id)
    return result
  }

  /// Blocks until `probe` finds a value or the deadline has passed (then: nil).
  func wait<Value: Sendable>(until deadline: Deadline, _ probe: @escaping @Sendable (State) -> Value?) -> Value? {
    let found = Promise<Value>()
    let id = register(found, probe)
    let value = found.wait(until: deadline)
    forget(id)
    return value
  }

  private func register<Value: Sendable>(
    _ found: Promise<Value>, _ probe: @escaping @Sendable (State) -> Value?
  ) -> UInt64 {
    var value: Value?
    let id = guarded.withLock { guarded in
      guarded.nextID += 1
      value = probe(guarded.state)
      if value == nil {
        guarded.waiters[guarded.nextID] = { state in
          guard let value = probe(state) else { return nil }
          return { found.complete(value) }
        }
      }
      return guarded.nextID
    }
    if let value { found.complete(value) }
    return id
  }

  private func forget(_ id: UInt64) {
    guarded.withLock { $0.waiters[id] = nil }
  }
}
