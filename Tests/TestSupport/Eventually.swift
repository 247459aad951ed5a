import Dispatch
import Glibc

/// Waits for a condition that nothing announces, such as the kernel's own book-keeping; true as soon as it holds, false
/// if it still does not at the deadline, which only a failure reaches.
public func eventually(within limit: Duration = .seconds(20), _ condition: () -> Bool) -> Bool {
  let deadline = ContinuousClock.now + limit
  while !condition() {
    if ContinuousClock.now > deadline { return false }
    usleep(500)
  }
  return true
}

/// The same, without holding a thread of the pool.
public func eventually(within limit: Duration = .seconds(20), _ condition: () async -> Bool) async -> Bool {
  let deadline = ContinuousClock.now + limit
  while await !condition() {
    if ContinuousClock.now > deadline { return false }
    try? await Task.sleep(for: .milliseconds(1))
  }
  return true
}
