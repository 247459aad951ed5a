internal import Synchronization

/// Decides whether a loop without work polls for a moment before it sleeps.
///
/// A thread takes some microseconds to fall asleep and wake up, or several tens where an idle core is given back to the
/// host. A peer on the same network has answered by then. Code that waits for an answer requests it here, and the loop
/// polls without sleeping for at most ``length``, which is less than it may save. ``SpinBackoff`` stops it where the
/// answers are slow.
///
/// The loop does not yield between two polls: another thread that wants the core would keep it for milliseconds.
///
/// ``request()`` can be called from any thread, the rest belongs to the loop.
struct BusyPoll: ~Copyable {
  /// How long the loop polls without sleeping.
  static let length = Duration.microseconds(40)

  private let isRequested = Atomic(false)
  private let backoff = SpinBackoff()

  /// Asks the loop to busy-poll before it next sleeps.
  ///
  /// - Returns: Whether it will. A loop that sleeps now has to be woken for it.
  func request() -> Bool {
    guard backoff.shouldSpin() else { return false }
    isRequested.store(true, ordering: .releasing)
    return true
  }

  /// Whether to busy-poll now; answers a request once.
  func begin() -> Bool { isRequested.load(ordering: .relaxed) && isRequested.exchange(false, ordering: .acquiring) }

  /// Puts the request back, because the loop has other work first.
  func interrupt() { isRequested.store(true, ordering: .relaxed) }

  /// Records whether a descriptor became ready.
  func end(found: Bool) { backoff.record(hit: found) }

  /// The number of misses in a row, counted up to ``SpinBackoff/toleratedMisses``.
  var missCount: Int { backoff.missCount }
}
