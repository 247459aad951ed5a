import Testing

@testable import Sidecar

@Suite struct `A connection whose socket is empty` {
  /// Looks as often as it is worth while; returns how often that was.
  func look(_ readSpin: inout ReadSpin, findingAt found: Int? = nil) -> Int {
    var looks = 0
    readSpin.lookAgain {
      looks += 1
      return looks == found
    }
    return looks
  }

  /// The same, after much was read.
  func lookAfterMuch(_ readSpin: inout ReadSpin, findingAt found: Int? = nil) -> Int {
    readSpin.hasRead(ReadSpin.muchInOneRead)
    return look(&readSpin, findingAt: found)
  }

  @Test func `does not look again if it has brought nothing, or little`() {
    var readSpin = ReadSpin()
    #expect(look(&readSpin) == 0)
    readSpin.hasRead(ReadSpin.muchInOneRead - 1)
    #expect(look(&readSpin) == 0)
  }

  @Test func `looks for a moment after much was read, and then no more`() {
    var readSpin = ReadSpin()
    #expect(lookAfterMuch(&readSpin) == ReadSpin.looks)
    #expect(!readSpin.isFlowing)
    #expect(look(&readSpin) == 0)
  }

  @Test func `goes on as long as it finds something, however little`() {
    var readSpin = ReadSpin()
    #expect(lookAfterMuch(&readSpin, findingAt: 3) == 3)
    for _ in 0..<10 {
      readSpin.hasRead(1)
      #expect(readSpin.isFlowing)
      #expect(look(&readSpin, findingAt: 5) == 5)
    }
  }

  @Test func `hardly looks any more where that is in vain`() {
    var readSpin = ReadSpin()
    for _ in 0..<ReadSpin.toleratedMisses { #expect(lookAfterMuch(&readSpin) == ReadSpin.looks) }
    var looked = 0
    for _ in 0..<(10 * Int(ReadSpin.occasionsPerLook)) where lookAfterMuch(&readSpin) > 0 { looked += 1 }
    #expect(looked == 10)
  }

  @Test func `looks again as before when it was worth while once more`() {
    var readSpin = ReadSpin()
    for round in 0..<100 {
      let found = round.isMultiple(of: Int(ReadSpin.toleratedMisses)) ? 7 : nil
      #expect(lookAfterMuch(&readSpin, findingAt: found) == found ?? ReadSpin.looks, "round \(round)")
    }
  }
}
