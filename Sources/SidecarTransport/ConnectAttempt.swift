internal import SidecarExecutor

/// One attempt to connect to one address, which owns its descriptor until it succeeds. Bound to the loop's thread.
final class ConnectAttempt: ReadinessHandler {
  let address: SocketAddress

  private let loop: EventLoop
  private let completion: (ConnectAttempt, Result<StreamSocket, SystemError>) -> Void
  private var descriptor: Int32?
  private var registration: EventLoop.Registration?
  private var retryTimer: TimerID?
  private var retryDelay = ConnectAttempt.retryDelays.lowerBound

  /// How long to wait before asking a full Unix-domain listener again: doubled each time, within these bounds.
  private static let retryDelays = Duration.milliseconds(1)...Duration.milliseconds(64)

  /// - Parameter completion: Called at most once, on the loop's thread, if ``start()`` returned nil.
  init(
    to address: SocketAddress, loop: EventLoop,
    completion: @escaping (ConnectAttempt, Result<StreamSocket, SystemError>) -> Void
  ) {
    self.address = address
    self.loop = loop
    self.completion = completion
  }

  /// Starts connecting. Call it once.
  ///
  /// - Returns: The outcome, if it is known at once; nil if the completion will be called with it.
  func start() -> Result<StreamSocket, SystemError>? {
    do throws(SystemError) {
      descriptor = try SocketCalls.open(address.family)
      // On the same machine the second `connect` call already succeeds, which is cheaper than polling.
      if let socket = try connect(mayCallAgain: true) { return .success(socket) }
      return nil
    } catch {
      cancel()
      return .failure(error)
    }
  }

  /// Closes the descriptor, if this attempt still owns it; the completion is not called any more.
  func cancel() {
    stopWaiting()
    if let descriptor { SocketCalls.close(descriptor) }
    descriptor = nil
  }

  func descriptorIsReady(_ readiness: Readiness) {
    guard let descriptor else { return }
    if let error = SocketCalls.pendingError(of: descriptor) {
      fail(error)
    } else {
      completeOrFail { () throws(SystemError) in try takeSocket() }
    }
  }

  /// Connects, or arranges to be told the outcome; returns the socket if it is connected now.
  private func connect(mayCallAgain: Bool) throws(SystemError) -> StreamSocket? {
    guard let descriptor else { return nil }
    switch try SocketCalls.connect(descriptor, to: address) {
    case .connected:
      return try takeSocket()
    case .inProgress:
      if mayCallAgain { return try connect(mayCallAgain: false) }
      registration = try loop.register(descriptor, interest: .writable, handler: self)
    case .backlogFull:
      retryTimer = loop.schedule(at: .after(retryDelay)) { [self] in retry() }
      retryDelay = min(retryDelay * 2, ConnectAttempt.retryDelays.upperBound)
    }
    return nil
  }

  private func retry() {
    retryTimer = nil
    completeOrFail { () throws(SystemError) in try connect(mayCallAgain: false) }
  }

  private func completeOrFail(_ body: () throws(SystemError) -> StreamSocket?) {
    do throws(SystemError) {
      if let socket = try body() { completion(self, .success(socket)) }
    } catch {
      fail(error)
    }
  }

  private func fail(_ error: SystemError) {
    cancel()
    completion(self, .failure(error))
  }

  /// Hands the connected descriptor over to a socket.
  private func takeSocket() throws(SystemError) -> StreamSocket? {
    guard let descriptor else { return nil }
    let localAddress = address.family == .unix ? nil : SocketCalls.localAddress(of: descriptor)
    // A connect to a free port of the ephemeral range can be given that very port as its own, and TCP then connects
    // the socket to itself. Nothing listens there: it is a refusal.
    if let localAddress, localAddress == address, SocketCalls.remoteAddress(of: descriptor) == localAddress {
      throw SocketCalls.connectionRefused
    }
    stopWaiting()
    self.descriptor = nil
    let socket = StreamSocket(owning: descriptor)
    if let localAddress, localAddress.hasSameHost(as: address) { socket.limitReceiveBuffer() }
    return socket
  }

  private func stopWaiting() {
    if let registration { loop.deregister(registration) }
    registration = nil
    loop.cancel(retryTimer)
    retryTimer = nil
  }
}
