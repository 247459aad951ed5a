internal import Sidecar
internal import SidecarTesting

/// `sidecar demo`: shows what the library does, and how fast, in a few seconds.
enum DemoCommand {
  private static let seconds = Option.value("seconds", "s", "SECONDS", "How long to measure in total. Default: 8.")
  private static let messages = Option.value(
    "messages", "n", "NUMBER",
    "Instead: stream this many messages through each API, rounded\nup to thousands, and make a round trip for every 50."
  )

  static let syntax = CommandSyntax(
    name: "demo", operands: "", summary: "Measure both APIs against an embedded server.",
    details: """
      Starts a server in this process, streams messages from it through the
      asynchronous and then the blocking API, makes round trips with each, and shuts
      everything down. The content, order and number of all messages are checked.

      The exit code is 1 if a check fails or a shutdown is not clean.
      """,
    options: [seconds, messages])

  /// The shares of the time for each API: first streaming, then round trips.
  private static let streamShare = 0.375
  private static let roundTripShare = 0.125

  /// The bound of the shutdown. Short after an interruption: the server answers a Close frame only after the whole
  /// stream.
  private static func bound(_ stop: StopFlag) -> Duration { stop.isRaised ? .milliseconds(100) : .seconds(5) }

  static func run(_ arguments: Arguments) async throws -> ExitCode {
    let length: DemoFeed.Length
    let roundTrips: DemoMeasurement.RoundTrips
    if let count = try arguments.number(messages, in: 1...Int(Int32.max)) {
      length = .rounds((count + DemoFeed.messagesPerRound - 1) / DemoFeed.messagesPerRound)
      roundTrips = .count(max(1, count / 50))
    } else {
      let time = try arguments.seconds(seconds) ?? .seconds(8)
      length = .time(time * streamShare)
      roundTrips = .time(time * roundTripShare)
    }

    let feed = DemoFeed()
    let progress = ProgressLine()
    let stop = StopFlag.raisedBySignal()
    var options = TestServer.Options()
    options.recordedBytes = 0
    let server = try TestServer(behavior: feed.behavior(length), options: options)
    let page = DemoReport(progress: progress)
    page.title(server.url)

    let async = DemoMeasurement(
      name: "async", feed: feed, roundTrips: roundTrips, progress: progress, stop: stop)
    let (first, firstReport) = try await measure(async, server)
    if !stop.isRaised { page.show(first, async.name, "WebSocketSidecar, in a task") }
    let blocking = DemoMeasurement(
      name: "blocking", feed: feed, roundTrips: roundTrips, progress: progress, stop: stop)
    let (second, secondReport) = try await onThread("demo") { try measureBlocking(blocking, server) }
    let serverEnded = await server.stop()
    if stop.isRaised {
      let counts = await settledCounts()
      page.interrupted(counts)
      return serverEnded && counts.isEmpty ? .success : .failure
    }
    let counts = LiveCounts.current

    page.show(second, blocking.name, "BlockingWebSocket, on a thread")
    page.show([("async", firstReport), ("blocking", secondReport)], counts)
    try check(first, server, 0, feed)
    try check(second, server, 1, feed)
    let isClean = firstReport.isClean && secondReport.isClean && serverEnded && counts.isEmpty
    page.verdict(isClean: isClean)
    return isClean ? .success : .failure
  }

  /// Returns the live counts, after waiting for what a short shutdown abandoned to end by itself.
  private static func settledCounts() async -> LiveCounts {
    let deadline = Deadline.after(.seconds(2))
    while !LiveCounts.current.isEmpty, !deadline.hasPassed { await pause(for: .milliseconds(10)) }
    return LiveCounts.current
  }

  private static func measure(
    _ measurement: DemoMeasurement, _ server: TestServer
  ) async throws -> (DemoMeasurement.Result, ShutdownReport) {
    let sidecar = try await WebSocketSidecar.connect(to: server.url)
    do {
      let result = try await measurement.run(sidecar)
      return (result, await sidecar.shutdown(within: bound(measurement.stop)))
    } catch {
      await sidecar.shutdown(within: .zero)
      throw error
    }
  }

  @available(*, noasync)
  private static func measureBlocking(
    _ measurement: DemoMeasurement, _ server: TestServer
  ) throws -> (DemoMeasurement.Result, ShutdownReport) {
    let socket = try BlockingWebSocket(server.url)
    do {
      let result = try measurement.run(socket)
      return (result, socket.shutdown(within: bound(measurement.stop)))
    } catch {
      socket.shutdown(within: .zero)
      throw error
    }
  }

  /// Compares what was received with what the server sent. The server also sent its handshake response and the message
  /// that ends the stream.
  private static func check(
    _ result: DemoMeasurement.Result, _ server: TestServer, _ index: Int, _ feed: DemoFeed
  ) throws(CommandError) {
    let perMessage = feed.bytesPerRound / DemoFeed.messagesPerRound
    let received = (result.streamed + result.roundTrips.count) * perMessage
    let beside = server.connections[index].bytesSent - received
    guard (0..<4 * perMessage).contains(beside), result.streamed > 0, result.roundTrips.count > 0 else {
      throw CommandError("the server sent \(received + beside) bytes, and messages of \(received) bytes came")
    }
  }
}
