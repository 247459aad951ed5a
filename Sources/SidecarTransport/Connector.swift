package import SidecarExecutor

/// Takes the steps from an endpoint to an open byte stream: resolve, connect.
///
/// Bound to the loop's thread, or to the creating thread before the loop's thread starts
/// (``SidecarThread/beforeStart(_:)``), except for ``hostBeingResolved``. The caller keeps the connector until the
/// completion is called, and cancels it when the thread ends.
package final class Connector: @unchecked Sendable {
  // Safe to share: the loop asserts that it is used on its own thread only, which every method here does; the look-up
  // is in a lock.

  /// A step to an open stream. Proxy and TLS come after these.
  package enum Step: Hashable, Sendable {
    case resolve
    case connect
  }

  /// Why there is no stream.
  package enum Failure: Error, Hashable, Sendable {
    case resolution(ResolutionError)
    case connect(ConnectError)
    /// The process or the system is out of descriptors, memory or threads; the peer is not to blame.
    case system(SystemError)
    case timedOut(Step)
    case invalidEndpoint(reason: String)
  }

  /// How long each step may take.
  package struct Timeouts: Hashable, Sendable {
    package var resolve: Duration
    package var connect: Duration

    package init(resolve: Duration, connect: Duration) {
      self.resolve = resolve
      self.connect = connect
    }
  }

  private enum State {
    case idle
    case resolving
    case connecting(ConnectRace)
    case ended
  }

  private let endpoint: Endpoint
  private let resolver: Resolver
  private let timeouts: Timeouts
  private let deadline: Deadline
  private let loop: EventLoop
  private let thread: SidecarThread
  private var completion: ((Result<ByteStream, Failure>) -> Void)?
  private var state = State.idle
  private var timer: TimerID?
  private let lookUp = Locked<Resolver.Request?>(nil)

  /// Makes a connector that does nothing before ``start()``.
  ///
  /// - Parameters:
  ///   - endpoint: Where to connect to.
  ///   - resolver: Looks up the host, unless that is a numeric address.
  ///   - timeouts: The time for each step.
  ///   - deadline: The time for all steps together.
  ///   - loop: The loop of `thread`.
  ///   - thread: Where everything happens.
  ///   - completion: Called once, on the loop's thread, unless ``cancel()`` comes first. Takes ownership of
  ///     the stream.
  package init(
    to endpoint: Endpoint, resolver: Resolver = .system, timeouts: Timeouts, deadline: Deadline = .never,
    loop: EventLoop, thread: SidecarThread, completion: @escaping (Result<ByteStream, Failure>) -> Void
  ) {
    self.endpoint = endpoint
    self.resolver = resolver
    self.timeouts = timeouts
    self.deadline = deadline
    self.loop = loop
    self.thread = thread
    self.completion = completion
  }

  /// The host that the resolver is still being asked for; also after ``cancel()``, which cannot stop a look-up. Any
  /// thread.
  package var hostBeingResolved: String? {
    guard let request = lookUp.withLock({ $0 }), request.isInProgress else { return nil }
    return request.host
  }

  /// Starts with the first step. Call it once; may call the completion before it returns.
  package func start() {
    guard case .idle = state else { return }
    do throws(EndpointError) {
      try endpoint.validate()
      switch endpoint {
      case .unix(let path):
        connect(to: [.unix(try UnixSocketName(path))])
      case .tcp(let host, let port):
        if let address = SocketAddress(numeric: host, port: port) {
          connect(to: [address])
        } else {
          resolve(host, port: port)
        }
      }
    } catch {
      finish(.failure(.invalidEndpoint(reason: error.description)))
    }
  }

  /// Gives up: closes what is open, and releases the completion without calling it. Harmless when repeated.
  package func cancel() {
    if case .connecting(let race) = state { race.cancel() }
    lookUp.withLock({ $0 })?.cancel()
    loop.cancel(timer)
    timer = nil
    completion = nil
    state = .ended
  }

  // MARK: Steps

  private func resolve(_ host: String, port: UInt16) {
    state = .resolving
    // The look-up may outlive the connection: it must not keep the thread.
    let request = resolver.resolve(host) { [weak self] answer in
      guard let self else { return }
      if thread.isCurrent {
        resolved(answer, port: port)
      } else {
        thread.post { self.resolved(answer, port: port) }
      }
    }
    guard case .resolving = state else { return }
    lookUp.withLock { $0 = request }
    startTimer(for: .resolve, after: timeouts.resolve)
  }

  private func resolved(_ answer: Resolver.Answer, port: UInt16) {
    guard case .resolving = state else { return }
    switch answer {
    case .success(let addresses): connect(to: addresses.map { $0.replacingPortZero(by: port) })
    case .failure(.resolution(let error)): finish(.failure(.resolution(error)))
    case .failure(.system(let error)): finish(.failure(.system(error)))
    }
  }

  private func connect(to addresses: [SocketAddress]) {
    let race = ConnectRace(to: addresses, loop: loop) { [weak self] result in self?.connected(result) }
    state = .connecting(race)
    race.start()
    // A connect on the same machine is done by now, and needs no timer.
    guard case .connecting = state else { return }
    startTimer(for: .connect, after: timeouts.connect)
  }

  private func connected(_ result: Result<StreamSocket, Failure>) {
    // The proxy and TLS would go on from here.
    finish(result.map { .plain($0) })
  }

  private func finish(_ result: Result<ByteStream, Failure>) {
    let completion = completion
    cancel()
    completion?(result)
  }

  private func startTimer(for step: Step, after timeout: Duration) {
    loop.cancel(timer)
    timer = loop.schedule(at: .after(timeout).earlier(deadline)) { [weak self] in
      self?.timer = nil
      self?.finish(.failure(.timedOut(step)))
    }
  }
}
