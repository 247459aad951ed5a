internal import SidecarExecutor

extension WebSocketSidecar {
  /// Runs `body` on the sidecar's thread, isolated to the sidecar, and returns its result.
  ///
  /// The work belongs to the sidecar: ``shutdown(within:keepingUnread:)`` cancels it and waits for it, within its
  /// bound. Cancelling the calling task cancels it too. While it runs without suspending, the sidecar cannot read or
  /// write: keep it short, and never block in it.
  ///
  /// - Throws: What `body` throws; ``WebSocketError/closed(_:)`` if the sidecar is closing or closed, or if a shutdown
  ///   has abandoned the work because it did not end in time.
  public nonisolated func run<Result: Sendable>(
    _ body: @escaping @Sendable (isolated WebSocketSidecar) async throws -> Result
  ) async throws -> Result {
    let (outcome, cancel) = try startRun(body)
    let result = await withTaskCancellationHandler {
      await outcome.uncancellableValue()
    } onCancel: {
      cancel()
    }
    return try result.get()
  }

  /// Starts `body` as a registered task.
  ///
  /// - Returns: The promise of its outcome, and a closure that cancels it.
  nonisolated func startRun<Result: Sendable>(
    _ body: @escaping @Sendable (isolated WebSocketSidecar) async throws -> Result
  ) throws(WebSocketError) -> (Promise<Swift.Result<Result, any Error>>, @Sendable () -> Void) {
    let outcome = Promise<Swift.Result<Result, any Error>>()
    guard let id = tasks.begin(release: { outcome.complete(.failure($0)) }) else { throw .closed(closeStatus) }
    let task = Task(executorPreference: thread) {
      let result: Swift.Result<Result, any Error>
      do {
        result = .success(try await TaskRegistry.$current.withValue(id) { try await body(self) })
      } catch {
        result = .failure(error)
      }
      // Uncounted first: code that sees the result must find the task gone.
      self.tasks.ended(id)
      outcome.complete(result)
    }
    let cancel: @Sendable () -> Void = { task.cancel() }
    tasks.started(id, cancel: cancel)
    return (outcome, cancel)
  }
}
