import Glibc
import SidecarExecutor
import SidecarTestSupport
import Testing

@testable import SidecarTransport

/// RFC 8305, without sockets and with a clock of the test's own.
@Suite("Happy Eyeballs", .census) struct HappyEyeballsTests {
  private let start = MonotonicInstant(nanoseconds: 1_000_000_000)
  private let refused = SystemError("connect", code: ECONNREFUSED)
  private let outOfDescriptors = SystemError("socket", code: EMFILE)

  private func address(_ text: String) throws -> SocketAddress {
    try #require(SocketAddress(numeric: text, port: 80))
  }

  private func addresses(_ texts: String...) throws -> [SocketAddress] { try texts.map(address) }

  private func after(_ milliseconds: Int) -> MonotonicInstant { start + .milliseconds(milliseconds) }

  @Test func `families take turns, the resolver's first choice begins, and each keeps its order`() throws {
    #expect(
      HappyEyeballs.interleaved(try addresses("::1", "::2", "::3", "10.0.0.1", "10.0.0.2"))
        == (try addresses("::1", "10.0.0.1", "::2", "10.0.0.2", "::3")))
    #expect(
      HappyEyeballs.interleaved(try addresses("10.0.0.1", "10.0.0.2", "10.0.0.3", "::1"))
        == (try addresses("10.0.0.1", "::1", "10.0.0.2", "10.0.0.3")))
    #expect(HappyEyeballs.interleaved(try addresses("10.0.0.1")) == (try addresses("10.0.0.1")))
    #expect(HappyEyeballs.interleaved([]) == [])
  }

  @Test func `attempts start 250 ms apart while nothing answers`() throws {
    var race = HappyEyeballs(try addresses("::1", "10.0.0.1", "::2"))
    #expect(race.start(at: start) == .connect(try address("::1"), nextAt: after(250)))
    #expect(race.delayPassed(at: after(249)) == .wait)
    #expect(race.delayPassed(at: after(250)) == .connect(try address("10.0.0.1"), nextAt: after(500)))
    // A loop that is late starts one attempt and not two, and the next one has its whole delay.
    #expect(race.delayPassed(at: after(2000)) == .connect(try address("::2"), nextAt: nil))
    #expect(race.delayPassed(at: after(3000)) == .wait)
  }

  @Test func `a failure starts the next attempt at once`() throws {
    var race = HappyEyeballs(try addresses("::1", "10.0.0.1", "::2"))
    _ = race.start(at: start)
    #expect(
      race.attemptFailed(try address("::1"), refused, at: after(10))
        == .connect(try address("10.0.0.1"), nextAt: after(260)))
    // The delay of the first attempt is void.
    #expect(race.delayPassed(at: after(250)) == .wait)
    #expect(race.delayPassed(at: after(260)) == .connect(try address("::2"), nextAt: nil))
  }

  @Test func `the race is lost with its last attempt, and names them in the order in which they failed`() throws {
    var race = HappyEyeballs(try addresses("::1", "10.0.0.1"))
    _ = race.start(at: start)
    _ = race.delayPassed(at: after(250))
    #expect(race.attemptFailed(try address("10.0.0.1"), refused, at: after(300)) == .wait)
    guard case .fail(.connect(let error)) = race.attemptFailed(try address("::1"), refused, at: after(400)) else {
      Issue.record("the race goes on")
      return
    }
    #expect(error.attempts.map(\.address) == ["10.0.0.1:80", "[::1]:80"])
    #expect(
      error.description
        == "cannot connect (10.0.0.1:80: Connection refused; [::1]:80: Connection refused)")
  }

  @Test func `the process is to blame if no address could be tried for lack of descriptors`() throws {
    var race = HappyEyeballs(try addresses("::1", "10.0.0.1"))
    _ = race.start(at: start)
    _ = race.attemptFailed(try address("::1"), outOfDescriptors, at: start)
    #expect(
      race.attemptFailed(try address("10.0.0.1"), outOfDescriptors, at: start) == .fail(.system(outOfDescriptors)))

    var other = HappyEyeballs(try addresses("::1", "10.0.0.1"))
    _ = other.start(at: start)
    _ = other.attemptFailed(try address("::1"), refused, at: start)
    guard case .fail(.connect(let error)) = other.attemptFailed(try address("10.0.0.1"), outOfDescriptors, at: start)
    else {
      Issue.record("one address did refuse")
      return
    }
    #expect(error.attempts.map(\.error) == [refused, outOfDescriptors])
  }

  // MARK: With sockets

  @Test func `an address that does not answer costs 250 ms`() async throws {
    let (hole, listener) = (try BlackHole(), try ListeningSocket.listening())
    let addresses = [hole.listener.address, listener.address]
    let begin = MonotonicInstant.now
    let harness = try ConnectHarness(.tcp(host: "two.invalid", port: 80), resolver: Resolver { _ in addresses })
    let stream = try await harness.result().get()
    #expect(stream.remoteAddress == listener.address)
    #expect(begin.duration(to: .now) >= HappyEyeballs.attemptDelay)
    #expect(await harness.registrationCount() == 0, "the other attempt is closed")
  }

  @Test func `an address that refuses costs nothing`() async throws {
    let (unheard, listener) = (try ListeningSocket(boundTo: .loopback(port: 0)), try ListeningSocket.listening())
    // Were there a delay after each, they would need 25 s.
    let addresses = Array(repeating: unheard.address, count: 100) + [listener.address]
    let harness = try ConnectHarness(
      .tcp(host: "many.invalid", port: 80), resolver: Resolver { _ in addresses },
      timeouts: .init(resolve: patience, connect: .seconds(20)))
    #expect(try await harness.result().get().remoteAddress == listener.address)
  }

  @Test func `the first to answer wins, also an attempt that began before others`() async throws {
    let (hole, unheard) = (try BlackHole(), try ListeningSocket(boundTo: .loopback(port: 0)))
    let addresses = [hole.listener.address, unheard.address]
    let harness = try ConnectHarness(.tcp(host: "two.invalid", port: 80), resolver: Resolver { _ in addresses })
    // Room for the attempt that hangs, which tries again within a second (`tcp(7)`).
    let first = try hole.listener.acceptNext()
    defer { first.close() }
    #expect(try await harness.result().get().remoteAddress == hole.listener.address)
  }
}
