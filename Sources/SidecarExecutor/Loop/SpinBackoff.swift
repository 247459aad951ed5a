internal import Synchronization

/// Says when spinning is worth its time, from how it went before.
///
/// After ``toleratedMisses`` misses in a row only one opportunity in ``opportunitiesPerAttempt`` is taken, until one is
/// a hit. A hit saves the wake-up of a thread, some 5 µs, or tens on a virtual machine whose core was given away; a
/// miss costs what the owner spins for.
///
/// ``shouldSpin()`` can be called from any thread, ``record(hit:)`` belongs to the one that spins.
package struct SpinBackoff: ~Copyable {
  /// Consecutive misses before backing off.
  package static let toleratedMisses: UInt32 = 4
  /// Of how many opportunities one is taken after that.
  package static let opportunitiesPerAttempt: UInt32 = 16

  /// Whether there is any spinning in this process. Spinning saves time and nothing else: tests turn it off to show
  /// that.
  package static var isEnabled: Bool {
    get { enabled.load(ordering: .relaxed) }
    set { enabled.store(newValue, ordering: .relaxed) }
  }

  private static let enabled = Atomic(true)

  private let misses = Atomic<UInt32>(0)
  private let opportunities = Atomic<UInt32>(0)

  package init() {}

  /// Whether to take this opportunity.
  package func shouldSpin() -> Bool {
    guard SpinBackoff.isEnabled else { return false }
    guard misses.load(ordering: .relaxed) >= SpinBackoff.toleratedMisses else { return true }
    return opportunities.wrappingAdd(1, ordering: .relaxed).newValue % SpinBackoff.opportunitiesPerAttempt == 0
  }

  /// Records whether spinning found what it was for.
  package func record(hit: Bool) {
    let soFar = misses.load(ordering: .relaxed)
    misses.store(hit ? 0 : min(soFar + 1, SpinBackoff.toleratedMisses), ordering: .relaxed)
  }

  /// The number of misses in a row, counted up to ``toleratedMisses``.
  package var missCount: Int { Int(misses.load(ordering: .relaxed)) }
}
