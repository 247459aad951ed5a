import Glibc
import SidecarExecutor
import SidecarTestSupport
import Synchronization
import Testing

@testable import SidecarTransport

@Suite("Unix-domain sockets", .census) struct UnixSocketTests {
  private static let count = Atomic(0)

  /// A path that nobody else uses.
  private func newPath() -> String {
    let number = UnixSocketTests.count.add(1, ordering: .relaxed).newValue
    return "/tmp/sidecar-test-\(getpid())-\(number).sock"
  }

  private func exchange(_ listener: ListeningSocket, _ stream: ByteStream) throws {
    let peer = try listener.acceptNext()
    defer { peer.close() }
    #expect([UInt8](repeating: 1, count: 7).withUnsafeBytes { stream.write($0) } == .bytes(7))
    var buffer = [UInt8](repeating: 0, count: 16)
    #expect(buffer.withUnsafeMutableBytes { peer.read(into: $0) } == .bytes(7))
  }

  @Test func `a path is connected to`() async throws {
    let path = newPath()
    let listener = try ListeningSocket.listening(at: .unix(try UnixSocketName(path)))
    let stream = try await ConnectHarness(.unix(path: path)).result().get()
    defer { stream.close() }
    #expect(stream.remoteAddress?.description == "unix:\(path)")
    #expect(stream.localAddress == .unix(.unnamed))
    try exchange(listener, stream)
  }

  @Test func `an abstract name is connected to, written either way`() async throws {
    let name = "sidecar-test-\(getpid())-abstract"
    let listener = try ListeningSocket.listening(at: .unix(try UnixSocketName("@\(name)")))
    for path in ["@\(name)", "\0\(name)"] {
      let stream = try await ConnectHarness(.unix(path: path)).result().get()
      defer { stream.close() }
      #expect(stream.remoteAddress?.description == "unix:@\(name)")
      try exchange(listener, stream)
    }
    #expect(access("@\(name)", F_OK) != 0, "there is no file")
  }

  @Test func `names are taken up to the system's limit, and longer ones are refused with the limit`() async throws {
    let longest = "/tmp/" + String(repeating: "x", count: 90) + "\(getpid())".suffix(12)
    let path = longest + String(repeating: "y", count: UnixSocketName.maximumByteCount - longest.utf8.count)
    #expect(path.utf8.count == 107)
    for path in [path, "@" + path] {
      let listener = try ListeningSocket.listening(at: .unix(try UnixSocketName(path)))
      let stream = try await ConnectHarness(.unix(path: path)).result().get()
      #expect(stream.remoteAddress == listener.address)
      stream.close()
    }
    let tooLong = EndpointError.unixPathTooLong(byteCount: 108, limit: 107)
    #expect(throws: tooLong) { try Endpoint.unix(path: path + "z").validate() }
    #expect(throws: tooLong) { try Endpoint.unix(path: "@" + path + "z").validate() }
    #expect(
      try await ConnectHarness(.unix(path: path + "z")).failure()
        == .invalidEndpoint(reason: "the path of a Unix-domain socket has at most 107 bytes, not 108"))
  }

  @Test(arguments: ["", "@", "\0"]) func `a name that names nothing is refused`(path: String) {
    #expect(throws: EndpointError.emptyUnixPath) { try Endpoint.unix(path: path).validate() }
  }

  @Test(arguments: ["/tmp/a\0b", "@a\0b", "\0a\0b", "/tmp/a\0"]) func `a name with a NUL inside is refused`(
    path: String
  ) {
    #expect(throws: EndpointError.containsNUL) { try Endpoint.unix(path: path).validate() }
  }

  @Test func `a file that is not there, or that nobody listens at, is an attempt that failed`() async throws {
    let path = newPath()
    guard case .connect(let missing) = try await ConnectHarness(.unix(path: path)).failure() else {
      Issue.record("no ConnectError")
      return
    }
    #expect(missing.attempts == [.init(address: "unix:\(path)", error: SystemError("connect", code: ENOENT))])
    let unheard = try ListeningSocket(boundTo: .unix(try UnixSocketName(path)))
    guard case .connect(let refused) = try await ConnectHarness(.unix(path: path)).failure() else {
      Issue.record("no ConnectError")
      return
    }
    #expect(refused.attempts == [.init(address: "unix:\(path)", error: SystemError("connect", code: ECONNREFUSED))])
    _ = consume unheard
    #expect(access(path, F_OK) != 0, "the file goes with the listener")
  }

  @Test func `a listener whose backlog is full is asked again until it has room`() async throws {
    let path = newPath()
    let hole = try BlackHole(.unix(try UnixSocketName(path)))
    let harness = try ConnectHarness(.unix(path: path))
    // The attempt waits with a timer beside that of the step: no poller announces the room.
    #expect(await eventually { () async in await harness.registrationCount() == 2 })
    #expect(harness.outcome.current == nil)
    let first = try hole.listener.acceptNext()
    let stream = try await harness.result().get()
    try exchange(hole.listener, stream)
    #expect(await harness.registrationCount() == 0)
    first.close()
    stream.close()
  }

  @Test func `a listener whose backlog stays full costs the time for connecting`() async throws {
    let path = newPath()
    let hole = try BlackHole(.unix(try UnixSocketName(path)))
    let harness = try ConnectHarness(
      .unix(path: path), timeouts: .init(resolve: patience, connect: .milliseconds(20)))
    #expect(try await harness.failure() == .timedOut(.connect))
    #expect(await harness.registrationCount() == 0)
    _ = hole
  }
}
