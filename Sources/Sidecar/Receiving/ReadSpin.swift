/// Decides when a connection whose socket is empty looks again before its thread sleeps.
///
/// A thread that sleeps has to be woken, which takes ten times as long as to look; on a virtual machine, longer than the
/// peer needs to send another 64 KiB. So as long as much arrives, an empty socket is looked at for a moment more. That costs
/// at most about what a wake-up would; and where it was in vain several times in a row, it is hardly tried any more.
///
/// The core is not given away between two looks: whoever else wants it would keep it for milliseconds.
struct ReadSpin {
  /// A read of so many bytes is much, and likely to be followed by another one.
  static let muchInOneRead = 8 << 10
  /// How many times an empty socket is looked at: some 15 µs.
  static let looks = 48
  /// So many times in a row to look in vain is bad luck.
  static let toleratedMisses: UInt8 = 4
  /// From then on one occasion of so many is taken.
  static let occasionsPerLook: UInt8 = 16

  /// Whether much has been read, and the socket has not stayed empty since.
  private(set) var isFlowing = false
  private var misses: UInt8 = 0
  private var occasions: UInt8 = 0

  /// Takes note of a read.
  mutating func hasRead(_ byteCount: Int) {
    if byteCount >= ReadSpin.muchInOneRead { isFlowing = true }
  }

  /// Calls `look` until it returns true, as often as it is worth while now; the socket has just been found empty.
  mutating func lookAgain(_ look: () -> Bool) {
    guard isFlowing else { return }
    isFlowing = false
    guard isWorthwhile() else { return }
    for _ in 0..<ReadSpin.looks where look() {
      isFlowing = true
      misses = 0
      return
    }
    if misses < ReadSpin.toleratedMisses { misses += 1 }
  }

  private mutating func isWorthwhile() -> Bool {
    guard misses >= ReadSpin.toleratedMisses else { return true }
    occasions = (occasions + 1) % ReadSpin.occasionsPerLook
    return occasions == 0
  }
}
