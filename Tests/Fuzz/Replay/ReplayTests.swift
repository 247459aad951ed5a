import Foundation
import SidecarFuzzTargets
import Testing

/// The inputs in the repository, through the properties that the fuzzer asserts: without the fuzzer, in every test run.
@Suite struct ReplayTests {
  @Test(arguments: FuzzTarget.allCases)
  func `the seeds of each fuzz target fulfil its properties`(_ target: FuzzTarget) throws {
    let inputs = try Self.inputs("Corpus/\(target.rawValue)")
    #expect(!inputs.isEmpty)
    for input in inputs { replay(input, target) }
  }

  @Test(arguments: FuzzTarget.allCases)
  func `inputs that once failed do not fail any more`(_ target: FuzzTarget) throws {
    for input in try Self.inputs("Regressions/\(target.rawValue)") { replay(input, target) }
  }

  @Test(arguments: FuzzTarget.allCases)
  func `every beginning of a seed fulfils the properties`(_ target: FuzzTarget) throws {
    for input in try Self.inputs("Corpus/\(target.rawValue)") where input.bytes.count <= 64 {
      for count in input.bytes.indices { replay((input.name, Array(input.bytes[..<count])), target) }
    }
  }

  private func replay(_ input: (name: String, bytes: [UInt8]), _ target: FuzzTarget) {
    var failure: PropertyFailure?
    input.bytes.withUnsafeBytes { bytes in
      do throws(PropertyFailure) {
        try target.run(bytes)
      } catch {
        failure = error
      }
    }
    #expect(failure == nil, "\(input.name), \(input.bytes.count) bytes: \(failure as Any)")
  }

  private static func inputs(_ path: String) throws -> [(name: String, bytes: [UInt8])] {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../\(path)")
    guard FileManager.default.fileExists(atPath: folder.path) else { return [] }
    let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
    return try files.map { ($0.lastPathComponent, Array(try Data(contentsOf: $0))) }
  }
}
