/// Runs an action at a deadline, on no thread that the application could hold.
///
/// A timer that is cancelled or dropped releases its action at once, on the thread that cancels it. An action that is
/// due runs on a worker of the timers, and is released there. It may resume continuations, and thereby run or free the
/// application's code and objects, which delays no other deadline.
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
