import Glibc
import SidecarExecutor
import SidecarTestSupport

@testable import SidecarTransport

/// One connector on a thread of its own, for the tests of everything that connects.
final class ConnectHarness: Sendable {
  typealias Outcome = Result<ByteStream, Connector.Failure>

  static let patient = Connector.Timeouts(resolve: patience, connect: patience)

  let thread: SidecarThread
  let outcome = Promise<Outcome>()
  private let connector = Locked<Connector?>(nil)

  init(
    _ endpoint: Endpoint, resolver: Resolver = .system, timeouts: Connector.Timeouts = patient,
    deadline: Deadline = .never
  ) throws {
    thread = try SidecarThread(name: "connecting")
    thread.post { [self] in
      let connector = Connector(
        to: endpoint, resolver: resolver, timeouts: timeouts, deadline: deadline, loop: thread.loop, thread: thread
      ) { [outcome] in
        guard outcome.complete($0) else { fatalError("The completion was called twice.") }
      }
      self.connector.withLock { $0 = connector }
      connector.start()
    }
  }

  var hostBeingResolved: String? { connector.withLock { $0 }?.hostBeingResolved }

  /// The outcome, for which a failing test does not wait for ever.
  func result() async throws -> Outcome {
    guard case .value(let outcome) = await outcome.value(until: .after(patience)) else { throw Missing() }
    return outcome
  }

  func failure() async throws -> Connector.Failure? {
    if case .failure(let failure) = try await result() { failure } else { nil }
  }

  /// Cancels the connector, and returns when that is done.
  func cancel() async {
    await onLoop { self.connector.withLock { $0 }?.cancel() }
  }

  /// Lets go of the connector.
  func drop() {
    let dropped = connector.withLock { connector in
      defer { connector = nil }
      return connector
    }
    _ = consume dropped
  }

  /// How many descriptors and timers the loop has.
  func registrationCount() async -> Int {
    await onLoop { [thread] in thread.loop.registrationCount }
  }

  private func onLoop<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
    let value = Promise<Value>()
    thread.post { value.complete(body()) }
    return await value.uncancellableValue()
  }

  struct Missing: Error {}
}

/// An address at which connecting hangs: its listener accepts nothing, and its backlog is full.
final class BlackHole: Sendable {
  let listener: ListeningSocket
  private let filling: [StreamSocket]

  init(_ address: SocketAddress = .loopback(port: 0)) throws {
    let listener = try ListeningSocket(boundTo: address)
    // A backlog of n has room for n + 1.
    try listener.listen(backlog: 0)
    let client = StreamSocket(owning: try SocketCalls.open(address.family))
    while try SocketCalls.connect(client.descriptor, to: listener.address) != .connected {}
    self.listener = listener
    filling = [client]
  }
}

/// Two sockets that are connected to each other.
func connectedPair() throws -> (StreamSocket, StreamSocket) {
  var pair: [Int32] = [0, 0]
  let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
  guard socketpair(AF_UNIX, kind, 0, &pair) == 0 else { throw SystemError("socketpair", code: errno) }
  return (StreamSocket(owning: pair[0]), StreamSocket(owning: pair[1]))
}

extension ListeningSocket {
  /// Binds and listens.
  static func listening(at address: SocketAddress = .loopback(port: 0), backlog: Int32 = 16) throws -> ListeningSocket {
    let listener = try ListeningSocket(boundTo: address)
    try listener.listen(backlog: backlog)
    return listener
  }

  /// Accepts the connection that is there, or is about to be.
  func acceptNext() throws -> StreamSocket {
    var accepted: Int32?
    _ = eventually {
      accepted = try? self.accept()
      return accepted != nil
    }
    guard let accepted else { throw ConnectHarness.Missing() }
    return StreamSocket(owning: accepted)
  }

  var endpoint: Endpoint { .tcp(host: address.host, port: address.port) }
}

/// Takes every descriptor that the process may have, but for some. For processes of their own.
func takeDescriptors(leaving free: Int) {
  var limit = rlimit(rlim_cur: 64, rlim_max: 64)
  setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  var taken: [Int32] = []
  while true {
    let descriptor = dup(0)
    if descriptor < 0 { break }
    taken.append(descriptor)
  }
  for descriptor in taken.suffix(free) { close(descriptor) }
}
