import Foundation
import Glibc
import SidecarExecutor
import SidecarTestSupport
import Testing

/// How long a test waits for what should happen at once. Only a failure takes that long.
let patience = Duration.seconds(60)

/// A process of one of the scripts in `Peers`, to connect to.
///
/// It never outlives the test: it is killed and reaped by ``end()``, and if the test process dies before, it ends when
/// its standard input does. It has a process group of its own, so that the kernel lets it go on (to find that out) if
/// it is stopped at that moment.
final class PeerProcess: Sendable {
  /// The port on 127.0.0.1 that it listens on.
  let port: UInt16

  private let process: pid_t
  private let output: LineReader

  private enum State { case running, crashed, ended }
  private let state = Locked(State.running)

  /// Starts `script` and waits until it listens.
  static func start(_ script: String = "server.py") async throws -> PeerProcess {
    let interpreter = try await onThread { try PythonEnvironment.interpreter() }
    let folder = URL(filePath: #filePath).deletingLastPathComponent()
    let path = folder.appending(path: "Peers/\(script)").path(percentEncoded: false)
    let (process, stream) = try spawn([interpreter, path])
    let output = LineReader(owning: stream)
    do {
      let line = try await output.line()
      guard let port = line.wholeMatch(of: #/port (\d+)/#).flatMap({ UInt16($0.1) }) else {
        throw PeerError(description: "instead of its port, the peer printed: \(line)")
      }
      return PeerProcess(port: port, process: process, output: output)
    } catch {
      kill(process, SIGKILL)
      waitpid(process, nil, 0)
      throw error
    }
  }

  private init(port: UInt16, process: pid_t, output: LineReader) {
    self.port = port
    self.process = process
    self.output = output
  }

  deinit {
    end()
  }

  /// The URL of a path of the peer.
  func url(_ path: String) -> String { "ws://127.0.0.1:\(port)\(path)" }

  /// The next line that the peer prints after its port.
  func line() async throws -> String { try await output.line() }

  /// Stops the peer as a debugger would: its sockets stay open, but nobody serves them.
  func freeze() { kill(process, SIGSTOP) }

  /// Kills the peer, as when it crashes. Its sockets are closed by the kernel.
  func crash() {
    state.withLock { $0 = .crashed }
    kill(process, SIGKILL)
  }

  /// Ends the peer and reaps it; harmless when repeated. Records an issue if it had ended by itself.
  func end() {
    let previous = state.withLock { state in
      defer { state = .ended }
      return state
    }
    guard previous != .ended else { return }
    if waitpid(process, nil, WNOHANG) == process {
      if previous == .running { Issue.record("the peer has ended by itself") }
    } else {
      kill(process, SIGKILL)
      waitpid(process, nil, 0)
    }
  }

  /// Starts a process whose standard input and output are the other end of `stream`.
  private static func spawn(_ arguments: [String]) throws -> (process: pid_t, stream: Int32) {
    // A pair of sockets rather than pipes: no other peer can inherit an end, not even one that is started just now.
    var ends: [Int32] = [-1, -1]
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
      throw SystemError("socketpair", code: errno)
    }
    let (stream, peersEnd) = (ends[0], ends[1])
    defer { close(peersEnd) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, peersEnd, STDIN_FILENO)
    posix_spawn_file_actions_adddup2(&actions, peersEnd, STDOUT_FILENO)

    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // The threads of the pool block signals, which the peer would inherit.
    var nothing = sigset_t()
    sigemptyset(&nothing)
    posix_spawnattr_setsigmask(&attributes, &nothing)
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP))

    var vector: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    defer { for argument in vector { free(argument) } }
    var process: pid_t = 0
    let error = posix_spawn(&process, arguments[0], &actions, &attributes, &vector, environ)
    guard error == 0 else {
      close(stream)
      throw SystemError("posix_spawn", code: error)
    }
    return (process, stream)
  }
}

/// Something that is wrong with a peer.
struct PeerError: Error, CustomStringConvertible {
  let description: String
}

/// Starts a peer, runs `body`, and ends the peer on every way out.
func withPeer<Result>(
  _ script: String = "server.py", _ body: (PeerProcess) async throws -> Result
) async throws -> Result {
  let peer = try await PeerProcess.start(script)
  defer { peer.end() }
  return try await body(peer)
}

/// Reads lines from a descriptor that it owns, without holding a thread of the pool.
private final class LineReader: Sendable {
  private let descriptor: Int32
  private let received = Locked<[UInt8]>([])

  init(owning descriptor: Int32) {
    self.descriptor = descriptor
  }

  deinit {
    close(descriptor)
  }

  func line() async throws -> String {
    while true {
      if let line = takeLine() { return line }
      try await onThread { try self.readMore() }
    }
  }

  private func takeLine() -> String? {
    received.withLock { received in
      guard let end = received.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
      defer { received.removeSubrange(...end) }
      return String(decoding: received[..<end], as: UTF8.self)
    }
  }

  private func readMore() throws {
    var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    guard poll(&entry, 1, patience.pollMilliseconds) == 1 else {
      throw PeerError(description: "the peer prints nothing")
    }
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = read(descriptor, &bytes, bytes.count)
    guard count > 0 else { throw PeerError(description: "the peer has ended") }
    received.withLock { $0.append(contentsOf: bytes[..<count]) }
  }
}
