internal import CSidecarSystem
internal import Glibc

/// A thread of the system's, to be joined or detached exactly once.
///
/// No signal handler of the application runs on it.
package struct SystemThread: Sendable {
  private let thread: pthread_t

  /// Starts a thread that calls `entry` with `context`.
  ///
  /// - Parameters:
  ///   - name: The thread's name, of which the system keeps the first 15 bytes.
  ///   - entry: A function at file scope. A closure in a context that is isolated to the main actor would be isolated
  ///     too, and stop the program on the new thread.
  /// - Throws: The error of `pthread_create`, such as `EAGAIN` when the process may have no more threads. Never waits.
  package init(
    _ name: String, entry: @convention(c) (UnsafeMutableRawPointer) -> Void, context: UnsafeMutableRawPointer
  ) throws(SystemError) {
    var thread = pthread_t()
    let error = FaultInjection.next(.startThread) ?? csidecar_thread_start(&thread, name, entry, context)
    guard error == 0 else { throw SystemError("pthread_create", code: error) }
    self.thread = thread
  }

  /// Runs `body` on a thread of its own, which is never joined.
  ///
  /// - Throws: The error of `pthread_create`. `body` is released on the calling thread then.
  package static func detached(_ name: String, _ body: @escaping @Sendable () -> Void) throws(SystemError) {
    let context = Unmanaged.passRetained(ThreadBody(body))
    do {
      try SystemThread(name, entry: runThreadBody, context: context.toOpaque()).detach()
    } catch {
      context.release()
      throw error
    }
  }

  /// Blocks until the thread has ended.
  package func join() {
    pthread_join(thread, nil)
  }

  /// Lets the thread end by itself.
  package func detach() {
    pthread_detach(thread)
  }

  /// Makes the calling thread sleep.
  package static func sleep(milliseconds: Int32) {
    _ = poll(nil, 0, milliseconds)
  }
}

private final class ThreadBody: Sendable {
  let body: @Sendable () -> Void

  init(_ body: @escaping @Sendable () -> Void) {
    self.body = body
  }
}

private func runThreadBody(_ context: UnsafeMutableRawPointer) {
  Unmanaged<ThreadBody>.fromOpaque(context).takeRetainedValue().body()
}
