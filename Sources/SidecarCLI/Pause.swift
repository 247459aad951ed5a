internal import SidecarExecutor

/// Suspends the task for `duration`.
///
/// Uses the package's timer thread. `Task.sleep` depends on Dispatch's timers, which never fire in a process that has
/// no descriptor left.
func pause(for duration: Duration) async {
  _ = await Promise<Void>().value(until: .after(duration))
}

/// Blocks the calling thread for `duration`.
@available(*, noasync)
func blockingPause(for duration: Duration) {
  _ = Promise<Void>().wait(until: .after(duration))
}
