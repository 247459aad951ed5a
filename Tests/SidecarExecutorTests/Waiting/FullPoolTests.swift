import Dispatch
import Glibc
import SidecarExecutor
import SidecarTestSupport
import Testing

@Suite struct `With the cooperative thread pool full of blocked tasks` {
  @Test func `deadlines are met and late jobs run`() async {
    // In a process of its own: the pool is the process's.
    await #expect(processExitsWith: .success) {
      DispatchQueue(label: "off the pool").async { exit(failureWithFullPool()) }
      while true { pause() }
    }
  }
}

/// Fills the pool; returns 0 if everything else goes on, or the number of what does not.
private func failureWithFullPool() -> Int32 {
  guard let thread = try? SidecarThread() else { return 1 }
  thread.requestStop()
  guard thread.join(until: .after(patience)) else { return 2 }

  // Far more than there are threads. Dispatch adds one for them after about a second, which must not be waited for.
  for _ in 0..<100 { Task.detached { sleep(60) } }
  let bound = Duration.milliseconds(700)

  let fired = Promise<Void>()
  let timer = DeadlineTimer(.after(.milliseconds(1))) { fired.complete(()) }
  guard fired.wait(until: .after(bound)) != nil else { return 3 }
  timer.cancel()

  let ran = Promise<Void>()
  thread.post { ran.complete(()) }
  return ran.wait(until: .after(bound)) != nil ? 0 : 4
}
