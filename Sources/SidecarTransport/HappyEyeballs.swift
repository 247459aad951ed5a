internal import CSidecarSystem
internal import Glibc
public import SidecarExecutor

/// No address could be connected to: each one that was tried, with the system's reason.
public struct ConnectError: Error, Hashable, Sendable, CustomStringConvertible {
  /// One address that was tried in vain.
  public struct Attempt: Hashable, Sendable, CustomStringConvertible {
    /// The numeric address and port, such as `127.0.0.1:9000` or `[::1]:9000`.
    public let address: String
    /// Why it failed.
    public let error: SystemError

    /// The address and the system's reason.
    public var description: String { "\(address): \(error.reason)" }
  }

  /// The attempts, in the order in which they failed.
  public let attempts: [Attempt]

  /// One line with every attempt.
  public var description: String {
    "cannot connect (" + attempts.map(\.description).joined(separator: "; ") + ")"
  }
}

/// Connects to the first of several addresses that answers (RFC 8305).
///
/// The attempts start one after the other, the next one when the last has failed or has taken 250 ms, families in turn;
/// the first connection wins and the rest are closed. Without a clock of its own: whoever started it cancels it at the
/// deadline. Bound to the loop's thread.
package final class HappyEyeballs {
  /// "Connection Attempt Delay", RFC 8305 §5.
  private static let attemptDelay = Duration.milliseconds(250)

  private let loop: EventLoop
  private var waiting: ArraySlice<SocketAddress>
  private var running: [Attempt] = []
  private var failures: [ConnectError.Attempt] = []
  private var nextAttempt: TimerID?
  private var completion: ((Result<StreamSocket, ConnectError>) -> Void)?

  /// Makes something that connects when it is told to ``start()``. `completion` is called once, on the loop's thread,
  /// unless ``cancel()`` comes first.
  package init(
    addresses: [SocketAddress], loop: EventLoop, completion: @escaping (Result<StreamSocket, ConnectError>) -> Void
  ) {
    self.loop = loop
    self.completion = completion
    waiting = HappyEyeballs.interleaved(addresses)[...]
  }

  /// Starts connecting; where the peer is near, the completion is called before this returns.
  package func start() {
    startNext()
  }

  /// Closes every attempt, so that nothing is left to call the completion.
  package func cancel() {
    closeAttempts()
  }

  /// Addresses of the first one's family and the other in turn, each family in its own order (RFC 8305 §4).
  static func interleaved(_ addresses: [SocketAddress]) -> [SocketAddress] {
    guard addresses.count > 1, let preferred = addresses.first?.family else { return addresses }
    let first = addresses.filter { $0.family == preferred }
    let second = addresses.filter { $0.family != preferred }
    return (0..<max(first.count, second.count)).flatMap { index in
      [first, second].compactMap { index < $0.count ? $0[index] : nil }
    }
  }

  private func startNext() {
    nextAttempt = nil
    while let address = waiting.popFirst() {
      do throws(SystemError) {
        let attempt = try Attempt(to: address, of: self)
        running.append(attempt)
        if attempt.isConnected { return attemptSucceeded(attempt) }
        if !waiting.isEmpty {
          nextAttempt = loop.schedule(at: .after(HappyEyeballs.attemptDelay)) { [self] in startNext() }
        }
        return
      } catch {
        failures.append(.init(address: address.description, error: error))
      }
    }
    if running.isEmpty { finish(.failure(ConnectError(attempts: failures))) }
  }

  private func attemptSucceeded(_ attempt: Attempt) {
    running.removeAll { $0 === attempt }
    let isSameHost = attempt.isSameHost
    let socket = StreamSocket(owning: attempt.takeDescriptor())
    if isSameHost { socket.limitReceiveBuffer() }
    finish(.success(socket))
  }

  private func attemptFailed(_ attempt: Attempt, _ error: SystemError) {
    attempt.close()
    running.removeAll { $0 === attempt }
    failures.append(.init(address: attempt.address.description, error: error))
    // RFC 8305 §5: a failure starts the next attempt without waiting for the delay.
    if let nextAttempt { loop.cancel(nextAttempt) }
    startNext()
  }

  private func finish(_ result: Result<StreamSocket, ConnectError>) {
    closeAttempts()
    let completion = self.completion
    self.completion = nil
    completion?(result)
  }

  private func closeAttempts() {
    if let nextAttempt { loop.cancel(nextAttempt) }
    nextAttempt = nil
    waiting = []
    for attempt in running { attempt.close() }
    running = []
  }

  /// One connect under way.
  private final class Attempt: ReadinessHandler {
    let address: SocketAddress
    private var descriptor: Int32
    private var registration: EventLoop.Registration?
    private unowned let owner: HappyEyeballs
    /// The peer was so near that there is nothing to wait for.
    private(set) var isConnected = false

    init(to address: SocketAddress, of owner: HappyEyeballs) throws(SystemError) {
      self.address = address
      self.owner = owner
      let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
      descriptor = socket(address.systemFamily, kind, Int32(IPPROTO_TCP))
      guard descriptor >= 0 else { throw SystemError("socket", code: errno) }
      do throws(SystemError) {
        isConnected = try connect()
        if !isConnected { isConnected = try connect() }
        if isConnected, isConnectedToItself { throw SystemError("connect", code: ECONNREFUSED) }
        if isConnected { return }
        registration = try owner.loop.register(descriptor, interest: .writable, handler: self)
      } catch {
        close()
        throw error
      }
    }

    /// Begins to connect, or asks what has become of it; returns whether the connection is there. On this machine it is by
    /// the second call, and an entry in the poller, which costs more than the call, is saved.
    private func connect() throws(SystemError) -> Bool {
      guard address.withSockaddr({ Glibc.connect(descriptor, $0, $1) }) != 0 else { return true }
      switch errno {
      case EINPROGRESS, EALREADY, EINTR: return false
      case let code: throw SystemError("connect", code: code)
      }
    }

    func descriptorIsReady(_ readiness: Readiness) {
      if let error = StreamSocket.pendingError(of: descriptor) {
        owner.attemptFailed(self, error)
      } else if isConnectedToItself {
        owner.attemptFailed(self, SystemError("connect", code: ECONNREFUSED))
      } else {
        owner.attemptSucceeded(self)
      }
    }

    /// A connect to a free port of the ephemeral range can be given that very port, and TCP then connects the socket to
    /// itself. Nobody listens there: it is a refusal.
    private var isConnectedToItself: Bool {
      guard let local = localAddress, local.port == address.port else { return false }
      return local == SocketAddress(of: descriptor, peer: true)
    }

    /// Whether both ends of the connection are on this machine.
    var isSameHost: Bool { localAddress?.hasSameHost(as: address) ?? false }

    /// This end of the connection, once it is there.
    private lazy var localAddress = SocketAddress(of: descriptor, peer: false)

    func takeDescriptor() -> Int32 {
      deregister()
      defer { descriptor = -1 }
      return descriptor
    }

    func close() {
      deregister()
      if descriptor >= 0 { Glibc.close(descriptor) }
      descriptor = -1
    }

    private func deregister() {
      if let registration { owner.loop.deregister(registration) }
      registration = nil
    }
  }
}
