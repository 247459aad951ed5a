import Testing
import SidecarProtocol

/// What it costs when a peer dribbles its response.
@Suite(.serialized) struct HandshakeCostTests {
  /// The time for a response that comes a byte at a time.
  private func cost(_ bytes: [UInt8]) throws -> Duration {
    var parser = OpeningResponseParser(request: try OpeningRequest(host: "a", port: 80, isSecure: false))
    return ContinuousClock().measure {
      bytes.withUnsafeBytes { bytes in
        for start in bytes.indices {
          _ = try? parser.receive(UnsafeRawBufferPointer(rebasing: bytes[start...start]))
        }
      }
    }
  }

  /// Four times as much: linear is 4, quadratic 16. What else the machine does can only add to a time, so the shortest
  /// of each kind is compared.
  private func expectLinear(_ part: [UInt8], _ whole: [UInt8]) throws {
    var (shortestPart, shortestWhole) = (try cost(part), try cost(whole))
    for _ in 0..<100 where shortestWhole >= shortestPart * 8 {
      shortestPart = min(shortestPart, try cost(part))
      shortestWhole = min(shortestWhole, try cost(whole))
    }
    #expect(shortestWhole < shortestPart * 8)
  }

  @Test func `a head costs as much as it has bytes`() throws {
    func head(_ lines: Int) -> [UInt8] {
      utf8("HTTP/1.1 101 x\r\n" + String(repeating: "A: \(String(repeating: "a", count: 1000))\r\n", count: lines))
    }
    try expectLinear(head(15), head(60))
  }

  @Test func `a line costs as much as it has bytes`() throws {
    func line(_ count: Int) -> [UInt8] { utf8("HTTP/1.1 101 x\r\nA: " + String(repeating: "a", count: count)) }
    try expectLinear(line(2000), line(8000))
  }

  @Test func `the body of a refusal costs as much as it has bytes`() throws {
    func body(_ count: Int) -> [UInt8] { utf8("HTTP/1.1 403 x\r\n\r\n" + String(repeating: "a", count: count)) }
    try expectLinear(body(4000), body(16_000))
    func chunks(_ count: Int) -> [UInt8] {
      utf8("HTTP/1.1 403 x\r\nTransfer-Encoding: chunked\r\n\r\n" + String(repeating: "1\r\na\r\n", count: count))
    }
    try expectLinear(chunks(2000), chunks(8000))
  }
}
