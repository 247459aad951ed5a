internal import Dispatch

/// Runs an action at a deadline, off every thread that user code could hold.
///
/// The action must not block, nor run code of the application's: the few workers that serve timers are shared by all of
/// them. They are those of the highest class of service, which tasks never have, so that a concurrency pool full of
/// blocked tasks does not make a deadline late. A queue for each timer would do as well, but each could bring a thread.
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
    let timer = DispatchSource.makeTimerSource(queue: .global(qos: .userInteractive))
    timer.setEventHandler(handler: action)
    timer.schedule(deadline: deadline.dispatchTime, leeway: .milliseconds(1))
    timer.activate()
    source = Locked(timer)
  }

  /// Disarms the timer; harmless when it has run or was cancelled. Dispatch does the same to one that is dropped.
  package func cancel() {
    let timer = source.withLock { source in
      defer { source = nil }
      return source
    }
    timer?.cancel()
  }
}
