internal import SidecarExecutor

/// State that any thread can read, and that tasks and threads can wait for.
///
/// Every change evaluates the probes of all waiters, under the lock; nothing polls. Probes are this module's own code,
/// never the user's.
final class ObservableState<State: Sendable>: Sendable {
  /// Probes the state. Returns what wakes the waiter if the probe finds its value.
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

  /// Changes the state, and wakes the waiters whose probes now find a value.
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
    // Outside the lock: waking runs code of others.
    for end in met { end() }
    return result
  }

  /// Suspends until `probe` finds a value, the deadline passes or the task is cancelled.
  func value<Value: Sendable>(
    until deadline: Deadline, _ probe: @escaping @Sendable (State) -> Value?
  ) async -> WaitResult<Value> {
    let found = Promise<Value>()
    let id = register(found, probe)
    let result = await found.value(until: deadline)
    forget(id)
    return result
  }

  /// Blocks until `probe` finds a value or the deadline passes.
  ///
  /// - Returns: The value; nil if the deadline passed.
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
