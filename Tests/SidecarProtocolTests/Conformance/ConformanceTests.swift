import Testing
import SidecarProtocol

@Suite struct ConformanceTests {
  @Test(arguments: ConformanceCase.all)
  func `every case ends as expected when it comes whole`(_ wire: ConformanceCase) throws {
    let lines = MessageReceiver.record(wire.bytes, role: wire.role, limits: wire.limits, deflate: wire.deflate).lines
    let expected = try #require(Self.expected[wire.name], "no expected result: \(lines)")
    #expect(lines == expected)
  }

  @Test(arguments: ConformanceCase.all)
  func `every case ends the same in pieces of every small size`(_ wire: ConformanceCase) throws {
    let expected = try #require(Self.expected[wire.name])
    // Every size up to the case's own; of those too long for that, what cuts headers and blocks differently.
    let sizes = wire.bytes.count <= 300 ? Array(1...max(1, wire.bytes.count)) : [1, 3, 15, 64, 1021, 65_536]
    for size in sizes {
      let recorder = MessageReceiver.record(
        wire.bytes, role: wire.role, limits: wire.limits, deflate: wire.deflate, piece: size)
      #expect(recorder.lines == expected, "in pieces of \(size)")
    }
  }

  @Test func `the expected results and the cases are the same set`() {
    let names = ConformanceCase.all.map(\.name)
    #expect(Set(names).count == names.count, "a name stands twice")
    #expect(Set(names) == Set(Self.expected.keys))
  }

  /// The expected results: a line with a case's name, and its reports below it, indented.
  private static let expected: [String: [String]] = {
    var results: [String: [String]] = [:]
    var name = ""
    for line in conformanceResults.split(separator: "\n") {
      if line.hasPrefix("  ") {
        results[name, default: []].append(String(line.dropFirst(2)))
      } else {
        name = String(line)
        results[name] = []
      }
    }
    return results
  }()
}
