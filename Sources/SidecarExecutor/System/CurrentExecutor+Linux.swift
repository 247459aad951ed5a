internal import CSidecarSystem

/// The calling thread's marker: what it is executing for.
///
/// Kept in a thread-local variable of the C module; `csidecar_current_executor` says why.
enum CurrentExecutor {
  /// What the calling thread was last marked with.
  static var marker: UnsafeRawPointer? { UnsafeRawPointer(csidecar_current_executor()) }

  /// Marks the calling thread while `body` runs.
  static func with(_ marker: UnsafeRawPointer, _ body: () -> Void) {
    let previous = csidecar_exchange_current_executor(marker)
    body()
    _ = csidecar_exchange_current_executor(previous)
  }
}
