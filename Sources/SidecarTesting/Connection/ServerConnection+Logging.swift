internal import SidecarExecutor
internal import SidecarProtocol

/// Recording what happens, and publishing it.
extension ServerConnection {
  func record(_ entry: LogEntry) {
    logEntries.append(entry)
  }

  /// Records the end of the stream. The first end counts.
  func recordEnding(_ stream: TestServer.Ending.Stream) {
    record(.ending(stream, isClean: protocolState.settledEnd?.cause == .closingHandshake))
  }

  /// Publishes everything that was recorded since the last call, under one lock.
  func publish() {
    guard !logEntries.isEmpty || progress != publishedProgress else { return }
    publishedProgress = progress
    // Moved out, and back for its capacity: a waiter that is woken here may make the connection record more.
    var entries: [LogEntry] = []
    swap(&entries, &logEntries)
    observed.log.update { log in
      for entry in entries { log.record(entry) }
      log.bytesSent = progress.bytesSent
      log.sendingIsBlocked = progress.isBlocked
    }
    if logEntries.isEmpty {
      entries.removeAll(keepingCapacity: true)
      swap(&entries, &logEntries)
    }
  }
}
