/// Runs an action at a deadline, on no thread that the application could hold.
///
/// Cancelled, or dropped, a timer lets go of its action at once, on the thread that cancels it. An action that comes
/// due runs on a worker of the timers' own, and is released there: it may resume continuations, and thereby run or free
/// what is the application's, without making other deadlines late.
@usableFromInline
package final class DeadlineTimer: Sendable {
  private let timer: TimerID?

  /// Arms the timer.
  ///
  /// - Parameters:
  ///   - deadline: When to run the action. ``Deadline/never`` arms nothing; for a deadline that has passed, it runs
  ///     soon.
  ///   - action: What to do. Should not block.
  @usableFromInline
  package init(_ deadline: Deadline, _ action: @escaping @Sendable () -> Void) {
    timer = deadline.instant.map { TimerThread.shared.schedule(at: $0, action) }
  }

  deinit {
    cancel()
  }

  /// Disarms the timer; does nothing if its action has begun or the timer was cancelled.
  @usableFromInline
  package func cancel() {
    if let timer { TimerThread.shared.cancel(timer) }
  }
}
