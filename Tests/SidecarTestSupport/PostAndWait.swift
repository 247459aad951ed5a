package import SidecarExecutor

/// Why a blocking call on a sidecar thread brought no value.
package enum BlockingBridgeError: Error, Hashable, Sendable {
  /// The caller is on a sidecar's own thread, which must not wait.
  case onSidecarThread
  /// The deadline passed first. The closure may still run.
  case timedOut
}

extension SidecarThread {
  /// Runs `body` on the thread and blocks the calling thread until it has run.
  ///
  /// Throws ``BlockingBridgeError``, and what `body` throws.
  package func postAndWait<Value: Sendable>(
    until deadline: Deadline, _ body: @escaping @Sendable () throws -> Value
  ) throws -> Value {
    if SidecarThread.isAnyCurrent { throw BlockingBridgeError.onSidecarThread }
    let result = Promise<Result<Value, any Error>>()
    post { result.complete(Result { try body() }) }
    guard let value = result.wait(until: deadline) else { throw BlockingBridgeError.timedOut }
    return try value.get()
  }
}
