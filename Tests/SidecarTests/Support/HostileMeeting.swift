import Glibc
import SidecarTesting
import SidecarTestSupport
import Testing

@testable import Sidecar

/// What is asked of a client that meets a hostile server did not hold.
///
/// Recorded as an issue where it is made, because a child process that throws has failed, and does not say why.
struct Unmet: Error {
  init(_ description: String) {
    Issue.record("\(description)")
  }
}

/// Throws unless `condition` holds.
func demand(_ condition: Bool, _ message: @autoclosure () -> String) throws {
  if !condition { throw Unmet(message()) }
}

/// A client and a hostile server, in a process of their own, where what they cost can be told from what others do.
///
/// The server opens the connection, and is hostile from when the client is idle: then the peak of the process's memory
/// is reset, so that what it comes to is the attack's, the server's own buffers included.
struct HostileMeeting {
  /// What an attack may cost at most.
  var memoryBound = 8 << 20

  var configuration = WebSocketConfiguration()
  var options = TestServer.Options()
  /// What is sent with the answer that opens the connection.
  var headers: [TestServer.HeaderField] = []

  /// Runs `body` with the client; `attack` begins just before.
  func run(
    _ attack: [TestServer.Step], _ body: (WebSocketSidecar, TestServer.Connection) async throws -> Void
  ) async throws {
    ProcessMemory.ignoreLeaks()
    // Once in peace, so that what is made once a process is there.
    try await withTestServer(.echo) { server in
      let client = try await WebSocketSidecar.connect(to: server.url, configuration: configuration)
      try await client.send("hello")
      try demand(try await client.receive(timeout: .seconds(120)) == "hello", "the echo does not answer")
      await client.shutdown()
    }
    let gate = TestServer.Gate()
    let script: [TestServer.Step] = [.open(headers: headers), .waitFor(gate)] + attack
    try await withTestServer(.script(script), options: options) { server in
      let client = try await WebSocketSidecar.connect(to: server.url, configuration: configuration)
      let connection = try await server.connection()
      let idle = try ProcessMemory.resetPeak()
      gate.open()
      try await body(client, connection)
      let growth = try ProcessMemory.peak() - idle
      try demand(
        ProcessMemory.isSanitized || growth < memoryBound, "the attack cost \(growth / 1024) KiB of memory")
      let began = ContinuousClock.now
      await client.shutdown(within: .seconds(2))
      try demand(ContinuousClock.now - began < .seconds(10), "the shutdown took too long")
    }
  }

  /// The error that the connection ends with; nil if it ends in order.
  static func error(of client: WebSocketSidecar, within bound: Duration = .seconds(120)) async throws -> WebSocketError?
  {
    do throws(WebSocketError) {
      while try await client.receive(timeout: bound) != nil {}
      return nil
    } catch {
      return error
    }
  }

  /// What connecting fails with, while the server's answer is `steps`.
  func openingError(_ steps: [TestServer.Step]) async throws -> WebSocketError {
    ProcessMemory.ignoreLeaks()
    let idle = try ProcessMemory.resetPeak()
    return try await withTestServer(.script([.receiveRequest] + steps), options: options) { server in
      do throws(WebSocketError) {
        let client = try await WebSocketSidecar.connect(to: server.url, configuration: configuration)
        await client.shutdown()
        throw WebSocketError.cancelled
      } catch {
        let growth = try ProcessMemory.peak() - idle
        try demand(
          ProcessMemory.isSanitized || growth < memoryBound, "the attack cost \(growth / 1024) KiB of memory")
        return error
      }
    }
  }
}

/// The memory of this process, as the kernel counts it.
enum ProcessMemory {
  /// Sets the peak to what is resident now, and returns that.
  static func resetPeak() throws -> Int {
    guard let file = fopen("/proc/self/clear_refs", "w") else { throw Unmet("no /proc/self/clear_refs") }
    fputs("5", file)
    fclose(file)
    return try peak()
  }

  /// The most that was resident since ``resetPeak()``, in bytes.
  static func peak() throws -> Int { try status("VmHWM:") * 1024 }

  /// Whether a sanitizer keeps a shadow of the whole address space: then memory says nothing about the code.
  static var isSanitized: Bool { ((try? status("VmSize:")) ?? 0) > 1 << 30 }

  /// Lets the process end without LeakSanitizer's verdict: in pointers of enums the compiler keeps bits of its own, and
  /// what only they point to at that moment is taken for a leak.
  static func ignoreLeaks() {
    if isSanitized { atexit { _exit(EXIT_SUCCESS) } }
  }

  private static func status(_ name: String) throws -> Int {
    guard let file = fopen("/proc/self/status", "r") else { throw Unmet("no /proc/self/status") }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    while fgets(&line, 256, file) != nil {
      let text = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
      if text.hasPrefix(name),
        let value = text.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap({ Int($0) })
      {
        return value
      }
    }
    throw Unmet("/proc/self/status has no \(name)")
  }
}
