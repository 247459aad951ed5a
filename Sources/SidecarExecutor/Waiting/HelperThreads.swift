internal import Synchronization

/// The threads that all sidecars of the process rely on: the timers' thread and the first worker of each work queue.
///
/// Made before the first sidecar thread, so that no deadline and no shutdown ever has to wait for a thread that the
/// system may not have. They stay for the life of the process, and cost some memory for their stacks.
package enum HelperThreads {
  private static let isStarted = Atomic(false)
  private static let lock = Locked(())

  /// Whether they are there.
  package static var areRunning: Bool { isStarted.load(ordering: .acquiring) }

  /// Starts those that are not there yet.
  ///
  /// - Throws: The error of `pthread_create`. What has been started stays; a later call starts the rest.
  package static func start() throws(SystemError) {
    if areRunning { return }
    // The lock is held while threads are started: that never waits, and two callers must not start one twice.
    let error: SystemError? = lock.withLock { _ in
      do throws(SystemError) {
        try BlockingWorkQueue.shared.prepare()
        try TimerThread.shared.start()
        isStarted.store(true, ordering: .releasing)
        return nil
      } catch {
        return error
      }
    }
    if let error { throw error }
  }
}
