import Dispatch
import Glibc

/// How long a test waits for what is bound to come: longer than any machine is busy. Never what a test is about.
public let patience = Duration.seconds(60)

/// Waits for a condition that nothing announces, such as the kernel's own book-keeping; true as soon as it holds, false
/// if it still does not at the deadline, which only a failure reaches.
public func eventually(within limit: Duration = patience, _ condition: () -> Bool) -> Bool {
  let deadline = ContinuousClock.now + limit
  while !condition() {
    if ContinuousClock.now > deadline { return false }
    usleep(500)
  }
  return true
}

/// The same, without holding a thread of the pool.
public func eventually(within limit: Duration = patience, _ condition: () async -> Bool) async -> Bool {
  let deadline = ContinuousClock.now + limit
  while await !condition() {
    if ContinuousClock.now > deadline { return false }
    try? await Task.sleep(for: .milliseconds(1))
  }
  return true
}
