/// Decides when a thread that has nothing to do looks again before it sleeps.
///
/// A thread that sleeps has to be woken, which takes ten times as long as to look; on a virtual machine, longer than it
/// takes the peer to send another 64 KiB. So after much was read the thread goes on looking for about as long as a wake-up
/// would take, and leaves its core to whoever wants it in between. That costs at most as much as it could have saved; and
/// where it was in vain several times in a row, it is hardly tried any more.
struct Eagerness {
  /// How many turns are looked without sleeping: some 40 µs on a core that nobody else wants.
  static let turnsPerLook = 64
  /// So many looks in vain are bad luck.
  static let toleratedMisses = 4
  /// From then on one occasion of so many is taken.
  static let occasionsPerLook = 16

  private var turns = 0
  private var misses = 0
  private var occasions = 0

  /// Whether looking has paid of late.
  var isWorthwhile: Bool { misses < Eagerness.toleratedMisses }

  /// Takes note that much was read: more is likely to come soon.
  mutating func expectMore() {
    occasions += 1
    guard isWorthwhile || occasions >= Eagerness.occasionsPerLook else { return }
    occasions = 0
    turns = Eagerness.turnsPerLook
  }

  /// Whether the next turn is not to sleep.
  mutating func takeTurn() -> Bool {
    guard turns > 0 else { return false }
    turns -= 1
    if turns == 0 { misses += 1 }
    return true
  }

  /// Takes note that a look was not in vain.
  mutating func found() {
    misses = 0
  }
}
