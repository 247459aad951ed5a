import Testing

@testable import Sidecar

@Suite struct `A connection whose socket is empty` {
  /// Looks as often as it is worth while; returns how often that was.
  func look(_ eagerness: inout Eagerness, findingAt found: Int? = nil) -> Int {
    var looks = 0
    eagerness.lookAgain {
      looks += 1
      return looks == found
    }
    return looks
  }

  /// The same, after much was read.
  func lookAfterMuch(_ eagerness: inout Eagerness, findingAt found: Int? = nil) -> Int {
    eagerness.hasRead(Eagerness.muchInOneRead)
    return look(&eagerness, findingAt: found)
  }

  @Test func `does not look again if it has brought nothing, or little`() {
    var eagerness = Eagerness()
    #expect(look(&eagerness) == 0)
    eagerness.hasRead(Eagerness.muchInOneRead - 1)
    #expect(look(&eagerness) == 0)
  }

  @Test func `looks for a moment after much was read, and then no more`() {
    var eagerness = Eagerness()
    #expect(lookAfterMuch(&eagerness) == Eagerness.looks)
    #expect(!eagerness.isFlowing)
    #expect(look(&eagerness) == 0)
  }

  @Test func `goes on as long as it finds something, however little`() {
    var eagerness = Eagerness()
    #expect(lookAfterMuch(&eagerness, findingAt: 3) == 3)
    for _ in 0..<10 {
      eagerness.hasRead(1)
      #expect(eagerness.isFlowing)
      #expect(look(&eagerness, findingAt: 5) == 5)
    }
  }

  @Test func `hardly looks any more where that is in vain`() {
    var eagerness = Eagerness()
    for _ in 0..<Eagerness.toleratedMisses { #expect(lookAfterMuch(&eagerness) == Eagerness.looks) }
    var looked = 0
    for _ in 0..<(10 * Int(Eagerness.occasionsPerLook)) where lookAfterMuch(&eagerness) > 0 { looked += 1 }
    #expect(looked == 10)
  }

  @Test func `looks again as before when it was worth while once more`() {
    var eagerness = Eagerness()
    for round in 0..<100 {
      let found = round.isMultiple(of: Int(Eagerness.toleratedMisses)) ? 7 : nil
      #expect(lookAfterMuch(&eagerness, findingAt: found) == found ?? Eagerness.looks, "round \(round)")
    }
  }
}
