import SidecarExecutor
import Testing

@testable import Sidecar

@Suite struct `A connection whose socket is empty` {
  /// In a class, because a structure that cannot be copied cannot be part of an expectation.
  private final class Reader {
    private var spin = ReadSpin()
    var isFlowing: Bool { spin.isFlowing }
    func hasRead(_ byteCount: Int) { spin.hasRead(byteCount) }

    /// Looks as often as is worthwhile; returns how often that was.
    func look(findingAt found: Int? = nil) -> Int {
      var looks = 0
      spin.lookAgain {
        looks += 1
        return looks == found
      }
      return looks
    }

    /// The same, after much was read.
    func lookAfterMuch(findingAt found: Int? = nil) -> Int {
      spin.hasRead(ReadSpin.muchInOneRead)
      return look(findingAt: found)
    }
  }

  @Test func `does not look again if it has brought nothing, or little`() {
    let reader = Reader()
    #expect(reader.look() == 0)
    reader.hasRead(ReadSpin.muchInOneRead - 1)
    #expect(reader.look() == 0)
  }

  @Test func `looks for a moment after much was read, and then no more`() {
    let reader = Reader()
    #expect(reader.lookAfterMuch() == ReadSpin.looks)
    #expect(!reader.isFlowing)
    #expect(reader.look() == 0)
  }

  @Test func `goes on as long as it finds something, however little`() {
    let reader = Reader()
    #expect(reader.lookAfterMuch(findingAt: 3) == 3)
    for _ in 0..<10 {
      reader.hasRead(1)
      #expect(reader.isFlowing)
      #expect(reader.look(findingAt: 5) == 5)
    }
  }

  @Test func `hardly looks any more where that is in vain`() {
    let reader = Reader()
    for _ in 0..<SpinBackoff.toleratedMisses { #expect(reader.lookAfterMuch() == ReadSpin.looks) }
    var looked = 0
    for _ in 0..<(10 * Int(SpinBackoff.opportunitiesPerAttempt)) where reader.lookAfterMuch() > 0 { looked += 1 }
    #expect(looked == 10)
  }

  @Test func `looks again as before when it was worth while once more`() {
    let reader = Reader()
    for round in 0..<100 {
      let found = round.isMultiple(of: Int(SpinBackoff.toleratedMisses)) ? 7 : nil
      #expect(reader.lookAfterMuch(findingAt: found) == found ?? ReadSpin.looks, "round \(round)")
    }
  }
}
