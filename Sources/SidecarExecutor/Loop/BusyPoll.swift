internal import Synchronization

/// Decides whether a loop that has nothing to do watches for a moment before it sleeps.
///
/// Putting a thread to sleep and waking it takes some microseconds; where the core has nothing else to do, and its host has
/// to be told so, several tens. A peer that is near has answered by then. So whoever waits for an answer says so, and the loop
/// looks whether it has come, again and again, for at most ``length``: less than what it may save. Where that was in vain
/// several times in a row, it is hardly tried any more.
///
/// The core is not given away between two looks: whoever else wants it would keep it for milliseconds.
///
/// ``request()`` can be called from any thread, the rest belongs to the loop.
struct BusyPoll: ~Copyable {
  /// How long the loop watches.
  static let length = Duration.microseconds(40)
  /// So many times in a row to watch in vain is bad luck.
  static let toleratedMisses: UInt32 = 4
  /// From then on one occasion of so many is taken.
  static let occasionsPerPoll: UInt32 = 16

  private let isDue = Atomic(false)
  private let misses = Atomic<UInt32>(0)
  private let occasions = Atomic<UInt32>(0)

  /// Asks the loop to watch before it next sleeps; returns whether that is worthwhile. If it sleeps now, it has to be woken.
  func request() -> Bool {
    if misses.load(ordering: .relaxed) >= BusyPoll.toleratedMisses {
      let occasion = occasions.wrappingAdd(1, ordering: .relaxed).newValue
      guard occasion % BusyPoll.occasionsPerPoll == 0 else { return false }
    }
    isDue.store(true, ordering: .releasing)
    return true
  }

  /// Whether to watch now.
  func begin() -> Bool { isDue.load(ordering: .relaxed) && isDue.exchange(false, ordering: .acquiring) }

  /// How often in a row it was in vain, as far as that is counted.
  var missCount: Int { Int(misses.load(ordering: .relaxed)) }

  /// Takes note that there is something else to do first.
  func interrupt() { isDue.store(true, ordering: .relaxed) }

  /// Takes note of what has come of it.
  func end(found: Bool) {
    let soFar = misses.load(ordering: .relaxed)
    misses.store(found ? 0 : min(soFar + 1, BusyPoll.toleratedMisses), ordering: .relaxed)
  }
}
