internal import Dispatch

/// Runs an action at a deadline, off every thread that user code could hold; see ``SpareWorker``.
///
/// A Dispatch timer source rather than a sleeping task or `asyncAfter`: cancelled, it lets go of its action at once
/// instead of keeping it until the deadline.
package final class DeadlineTimer: Sendable {
  private let source: Locked<(any DispatchSourceTimer)?>

  /// Arms the timer; ``Deadline/never`` arms nothing. A deadline that has passed runs the action soon, elsewhere.
  package init(_ deadline: Deadline, _ action: @escaping @Sendable () -> Void) {
    guard deadline.instant != nil else {
      source = Locked(nil)
      return
    }
    let timer = DispatchSource.makeTimerSource(queue: SpareWorker.queue())
    timer.setEventHandler(handler: action)
    timer.schedule(deadline: deadline.dispatchTime, leeway: .milliseconds(1))
    timer.activate()
    source = Locked(timer)
  }

  deinit {
    cancel()
  }

  /// Disarms the timer; harmless when it has run or was cancelled.
  package func cancel() {
    let timer = source.withLock { source in
      defer { source = nil }
      return source
    }
    timer?.cancel()
  }
}
