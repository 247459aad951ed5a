internal import SidecarExecutor

/// The tasks that run on a sidecar: started by `run`, cancelled and awaited by the shutdown.
final class TaskRegistry: Sendable {
  /// Names a running task; the task itself finds it in ``current``.
  struct ID: Hashable, Sendable {
    let registry: ObjectIdentifier
    let number: UInt64
  }

  /// Which `run` the current task belongs to, if any.
  @TaskLocal static var current: ID?

  private struct Entry {
    var cancel: (@Sendable () -> Void)?
    /// Ends the wait of the caller of `run`, although the task has not ended.
    let release: @Sendable (WebSocketError) -> Void
    /// True if the task has requested the shutdown and waits for it, so that the shutdown cannot wait for the task.
    var isExempt = false
  }

  private struct State {
    var entries: [UInt64: Entry] = [:]
    var nextNumber: UInt64 = 0
    var isClosed = false
    var whenEmpty: (@Sendable () -> Void)?

    /// Takes the closure that waits for the last task, if there is none left to wait for.
    mutating func takeWhenEmpty() -> (@Sendable () -> Void)? {
      guard entries.values.allSatisfy(\.isExempt) else { return nil }
      defer { whenEmpty = nil }
      return whenEmpty
    }
  }

  private let state = Locked(State())

  /// Whether there is a task that the shutdown has to wait for.
  var hasTasks: Bool { state.withLock { state in !state.entries.values.allSatisfy(\.isExempt) } }

  /// How many tasks are running.
  var count: Int { state.withLock { $0.entries.count } }

  /// Registers a task that is about to start; nil when the sidecar is closing.
  func begin(release: @escaping @Sendable (WebSocketError) -> Void) -> ID? {
    state.withLock { state in
      guard !state.isClosed else { return nil }
      state.nextNumber += 1
      state.entries[state.nextNumber] = Entry(release: release)
      LiveCounters.tasks.increment()
      return ID(registry: ObjectIdentifier(self), number: state.nextNumber)
    }
  }

  /// Records how to cancel a task that has started; cancels it if that was requested in between.
  func started(_ id: ID, cancel: @escaping @Sendable () -> Void) {
    let isClosed = state.withLock { state in
      state.entries[id.number]?.cancel = cancel
      return state.isClosed
    }
    if isClosed { cancel() }
  }

  /// Removes a task that has ended.
  func ended(_ id: ID) {
    LiveCounters.tasks.decrement()
    let whenEmpty = state.withLock { state in
      state.entries[id.number] = nil
      return state.takeWhenEmpty()
    }
    whenEmpty?()
  }

  /// Stops the shutdown from waiting for a task that is itself waiting for the shutdown.
  func exempt(_ id: ID) {
    guard id.registry == ObjectIdentifier(self) else { return }
    let whenEmpty = state.withLock { state in
      state.entries[id.number]?.isExempt = true
      return state.takeWhenEmpty()
    }
    whenEmpty?()
  }

  /// Refuses tasks from now on.
  func close() {
    state.withLock { $0.isClosed = true }
  }

  /// Cancels every task, after ``close()``; `whenEmpty` is called once none is left to wait for, at once if there is
  /// none.
  ///
  /// Runs the application's cancellation handlers, which may take long.
  func cancelAll(whenEmpty: @escaping @Sendable () -> Void) {
    let (entries, callNow) = state.withLock { state in
      state.whenEmpty = whenEmpty
      return (Array(state.entries.values), state.takeWhenEmpty())
    }
    for entry in entries { entry.cancel?() }
    callNow?()
  }

  /// Releases the callers of tasks that are still running. Excludes tasks that are themselves awaiting this shutdown.
  ///
  /// - Returns: How many tasks are abandoned.
  func abandon() -> Int {
    let entries = state.withLock { $0.entries.values.filter { !$0.isExempt } }
    for entry in entries { entry.release(.closed(nil)) }
    return entries.count
  }

  /// Releases the callers of all tasks, after the shutdown.
  func abandonAll() {
    let entries = state.withLock { Array($0.entries.values) }
    for entry in entries { entry.release(.closed(nil)) }
  }
}
