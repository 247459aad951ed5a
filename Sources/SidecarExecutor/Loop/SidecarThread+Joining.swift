extension SidecarThread {
  /// Ends the thread.
  ///
  /// Sidecars that are still on it lose their connections, with a Close frame if the kernel takes one: shut them down
  /// first. Jobs that have been enqueued are run. Not needed where the last reference is dropped anyway. Harmless when
  /// repeated.
  ///
  /// - Parameter bound: How long to wait. A thread that a job holds for longer is abandoned: it ends by itself, once it
  ///   can.
  /// - Returns: Whether the thread has ended.
  public func shutdown(within bound: Duration = .seconds(5)) async -> Bool {
    requestStop()
    let hasEnded = await joined(until: .after(bound))
    if !hasEnded { abandon() }
    return hasEnded
  }

  /// Asks the thread to end, after the jobs that have been enqueued so far. Returns at once; harmless when repeated.
  package func requestStop() {
    jobs.requestStop()
  }

  /// Whether the loop has ended and closed its descriptors.
  package var hasEnded: Bool { ended.current != nil }

  /// Runs `body` once the thread has ended: on the thread as its last act, or at once if it already has.
  package func whenEnded(_ body: @escaping @Sendable () -> Void) {
    ended.whenComplete(body)
  }

  /// Blocks until the thread has ended and is joined, at most until `deadline`.
  ///
  /// Must not be called on a sidecar thread.
  ///
  /// - Returns: Whether the thread has ended.
  package func join(until deadline: Deadline) -> Bool {
    precondition(!isCurrent, "A thread cannot join itself. Request the stop, and join from elsewhere.")
    guard ended.wait(until: deadline) != nil else { return false }
    reap()
    return true
  }

  /// Suspends until the thread has ended and is joined, at most until `deadline`.
  ///
  /// Cancellation does not end the wait: a cancelled task still cleans up. A task that runs on this thread may call it:
  /// while it is suspended it does not hold the thread, and it continues on the fallback executor.
  ///
  /// - Returns: Whether the thread has ended.
  package func joined(until deadline: Deadline) async -> Bool {
    let joined = Promise<Bool>()
    let timer = DeadlineTimer(deadline) { joined.complete(false) }
    ended.whenComplete { joined.complete(true) }
    let hasEnded = await joined.uncancellableValue()
    timer.cancel()
    if hasEnded { reap() }
    return hasEnded
  }

  /// Gives the thread up: it ends by itself once it can, and need not be joined.
  package func abandon() {
    handle.abandon()
  }

  /// Joins the system's thread after its end was announced, which takes only the microseconds that it needs to exit.
  package func reap() {
    handle.reap()
  }
}
