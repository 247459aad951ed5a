internal import SidecarProtocol

/// Something that the server's thread has seen, on its way into the log.
enum LogEntry {
  case request(TestServer.Request)
  case requestViolation(String)
  case opened
  case message(WebSocketMessage)
  case ping([UInt8])
  case pong([UInt8])
  case frame(TestServer.ReceivedFrame)
  case close(TestServer.ReceivedClose)
  case violation(String)
  case rawInput([UInt8])
  case bytesAfterClose([UInt8])
  case bytesReceived(Int)
  case script(TestServer.ScriptStatus, taken: Int)
  case ending(TestServer.Ending)
  case over
}

/// Telling what has been seen: many things under one lock.
extension ServerConnection {
  func see(_ entry: LogEntry) {
    logEntries.append(entry)
  }

  func seeEnding(_ stream: TestServer.Ending.Stream) {
    see(
      .ending(
        TestServer.Ending(
          stream: stream, close: receivedClose,
          isClean: receivedClose != nil && hasSentClose && violation == nil)))
  }

  func publish() {
    guard !logEntries.isEmpty || bytesSent != published.bytesSent || isBlocked != published.isBlocked else { return }
    published = (bytesSent, isBlocked)
    // Moved out and back: what is seen while others are told is not lost, and the storage is used again.
    var seen: [LogEntry] = []
    swap(&seen, &logEntries)
    observed.log.update { log in
      for entry in seen { log.note(entry) }
      log.bytesSent = bytesSent
      log.sendingIsBlocked = isBlocked
    }
    if logEntries.isEmpty {
      seen.removeAll(keepingCapacity: true)
      swap(&seen, &logEntries)
    }
  }
}

extension TestServer.ConnectionLog {
  mutating func note(_ entry: LogEntry) {
    switch entry {
    case .request(let request): self.request = request
    case .requestViolation(let violation): requestViolation = violation
    case .opened: isOpen = true
    case .message(let message):
      messageCount += 1
      if hasRoom(for: message.byteCount) { messages.append(message) }
    case .ping(let payload): if hasRoom(for: payload.count) { pings.append(payload) }
    case .pong(let payload): if hasRoom(for: payload.count) { pongs.append(payload) }
    case .frame(let frame): if hasRoom(for: 0) { frames.append(frame) }
    case .close(let close): self.close = close
    case .violation(let violation): self.violation = violation
    case .rawInput(let bytes): if hasRoom(for: bytes.count) { rawInput.append(bytes) }
    case .bytesAfterClose(let bytes): if hasRoom(for: bytes.count) { bytesAfterClose += bytes }
    case .bytesReceived(let count): bytesReceived += count
    case .script(let status, let taken): script = taken == scriptsGiven ? status : .running
    // The client's end of the stream is what counts, even if the server goes on for a while.
    case .ending(let ending): self.ending = self.ending ?? ending
    case .over:
      isOver = true
      if script == .running { script = .cutShort(at: "a script that came too late") }
    }
  }
}
