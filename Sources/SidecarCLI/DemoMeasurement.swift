internal import Sidecar

/// One API's part of the demo: first the stream, then the round trips.
///
/// The asynchronous and the blocking half are the same on purpose: they show that the two APIs have the same verbs.
struct DemoMeasurement: Sendable {
  /// How many round trips are made.
  enum RoundTrips: Sendable {
    case time(Duration)
    case count(Int)

    /// Returns whether enough round trips have been made.
    func areDone(_ count: Int, since start: ContinuousClock.Instant) -> Bool {
      switch self {
      case .time(let duration): ContinuousClock.now - start >= duration
      case .count(let most): count >= most
      }
    }
  }

  struct Result: Sendable {
    var streamed = 0
    var streamTime = Duration.zero
    var roundTrips = Latencies([])
    var roundTripTime = Duration.zero
  }

  /// How long an answer may take before the demo gives up.
  private static let patience = Duration.seconds(10)

  let name: String
  let feed: DemoFeed
  let roundTrips: RoundTrips
  let progress: ProgressLine
  /// Raised when the user wants the demo to end.
  let stop: StopFlag

  // MARK: The asynchronous API

  func run(_ sidecar: WebSocketSidecar) async throws -> Result {
    var result = Result()
    var stream = DemoStream(feed)
    try await sidecar.send(DemoFeed.request)
    var start = ContinuousClock.now
    for try await message in sidecar.inbound {
      guard try stream.accept(message) else { break }
      guard stream.isAtRoundsEnd else { continue }
      if stop.isRaised { return result }
      showStream(stream.count, since: start)
    }
    result.streamed = stream.count
    result.streamTime = .now - start

    var latencies: [Duration] = []
    start = .now
    while !stop.isRaised, !roundTrips.areDone(latencies.count, since: start) {
      let message = feed.messages[latencies.count % feed.messages.count]
      let sent = ContinuousClock.now
      try await sidecar.send(message)
      let answer = try await sidecar.receive(timeout: Self.patience)
      latencies.append(.now - sent)
      guard answer == message else { throw wrongAnswer(latencies.count, answer) }
      showRoundTrips(latencies, since: start)
    }
    result.roundTripTime = .now - start
    result.roundTrips = Latencies(latencies)
    return result
  }

  // MARK: The blocking API

  @available(*, noasync)
  func run(_ socket: BlockingWebSocket) throws -> Result {
    var result = Result()
    var stream = DemoStream(feed)
    try socket.send(DemoFeed.request)
    var start = ContinuousClock.now
    while try stream.accept(socket.receive(timeout: Self.patience)) {
      guard stream.isAtRoundsEnd else { continue }
      if stop.isRaised { return result }
      showStream(stream.count, since: start)
    }
    result.streamed = stream.count
    result.streamTime = .now - start

    var latencies: [Duration] = []
    start = .now
    while !stop.isRaised, !roundTrips.areDone(latencies.count, since: start) {
      let message = feed.messages[latencies.count % feed.messages.count]
      let sent = ContinuousClock.now
      try socket.send(message)
      let answer = try socket.receive(timeout: Self.patience)
      latencies.append(.now - sent)
      guard answer == message else { throw wrongAnswer(latencies.count, answer) }
      showRoundTrips(latencies, since: start)
    }
    result.roundTripTime = .now - start
    result.roundTrips = Latencies(latencies)
    return result
  }

  // MARK: Progress

  private func showStream(_ count: Int, since start: ContinuousClock.Instant) {
    progress.show(
      "\(name): streaming, \(Formatting.count(count)) messages so far, \(Formatting.rate(count, in: .now - start))")
  }

  private func showRoundTrips(_ latencies: [Duration], since start: ContinuousClock.Instant) {
    guard let last = latencies.last else { return }
    progress.show("\(name): round trips, \(Formatting.count(latencies.count)) so far, the last one \(last.readable)")
  }

  private func wrongAnswer(_ number: Int, _ answer: WebSocketMessage?) -> CommandError {
    CommandError("answer \(number) is not what was sent: \(answer.map(String.init(describing:)) ?? "the end")")
  }
}
