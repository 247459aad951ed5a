internal import SidecarExecutor

/// Connects to the first of several addresses that answers: does what ``HappyEyeballs`` decides, with sockets and
/// timers.
///
/// Has no time limit of its own: the owner cancels it. Bound to the loop's thread.
final class ConnectRace {
  private let loop: EventLoop
  private var happyEyeballs: HappyEyeballs
  private var running: [ConnectAttempt] = []
  private var nextAttempt: TimerID?
  private var completion: ((Result<StreamSocket, Connector.Failure>) -> Void)?

  /// - Parameter completion: Called once, on the loop's thread, unless ``cancel()`` comes first.
  init(
    to addresses: [SocketAddress], loop: EventLoop,
    completion: @escaping (Result<StreamSocket, Connector.Failure>) -> Void
  ) {
    self.loop = loop
    self.completion = completion
    happyEyeballs = HappyEyeballs(addresses)
  }

  /// Starts connecting; may call the completion before it returns.
  func start() {
    perform(happyEyeballs.start(at: .now))
  }

  /// Closes every attempt; the completion is not called any more.
  func cancel() {
    completion = nil
    cancelTimer()
    for attempt in running { attempt.cancel() }
    running = []
  }

  private func perform(_ action: HappyEyeballs.Action) {
    var action = action
    while case .connect(let address, let nextAt) = action {
      cancelTimer()
      if let nextAt {
        nextAttempt = loop.schedule(at: Deadline(nextAt)) { [self] in
          nextAttempt = nil
          perform(happyEyeballs.delayPassed(at: .now))
        }
      }
      let attempt = ConnectAttempt(to: address, loop: loop) { [self] in attemptEnded($0, $1) }
      switch attempt.start() {
      case nil:
        running.append(attempt)
        return
      case .success(let socket): return finish(.success(socket))
      case .failure(let error): action = happyEyeballs.attemptFailed(address, error, at: .now)
      }
    }
    if case .fail(let failure) = action { finish(.failure(failure)) }
  }

  private func attemptEnded(_ attempt: ConnectAttempt, _ result: Result<StreamSocket, SystemError>) {
    running.removeAll { $0 === attempt }
    switch result {
    case .success(let socket): finish(.success(socket))
    case .failure(let error): perform(happyEyeballs.attemptFailed(attempt.address, error, at: .now))
    }
  }

  private func finish(_ result: Result<StreamSocket, Connector.Failure>) {
    let completion = completion
    cancel()
    completion?(result)
  }

  private func cancelTimer() {
    loop.cancel(nextAttempt)
    nextAttempt = nil
  }
}
