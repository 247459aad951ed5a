internal import CSidecarSystem
internal import SidecarExecutor

/// Runs `body` on a new, detached thread. For blocking work, which does not belong in a task.
///
/// - Parameter name: The thread's name, of which the kernel keeps 15 bytes.
func startThread(_ name: String, _ body: @escaping @Sendable () -> Void) throws(SystemError) {
  let context = Unmanaged.passRetained(ThreadBody(body))
  var thread = pthread_t()
  let error = csidecar_thread_start(&thread, name, plainThreadMain, context.toOpaque())
  guard error == 0 else {
    context.release()
    throw SystemError("pthread_create", code: error)
  }
  pthread_detach(thread)
}

private final class ThreadBody: Sendable {
  let body: @Sendable () -> Void

  init(_ body: @escaping @Sendable () -> Void) {
    self.body = body
  }
}

// At file scope: a closure could be inferred to be isolated to its caller's actor, and would trap on the new thread.
private func plainThreadMain(_ context: UnsafeMutableRawPointer) {
  Unmanaged<ThreadBody>.fromOpaque(context).takeRetainedValue().body()
}

/// Runs `body` on a new thread, and suspends until it has returned. Cancellation does not end the wait.
func onThread<Result: Sendable>(
  _ name: String, _ body: @escaping @Sendable () throws -> Result
) async throws -> Result {
  let outcome = Promise<Swift.Result<Result, any Error>>()
  try startThread(name) { outcome.complete(Swift.Result { try body() }) }
  return try await outcome.uncancellableValue().get()
}
