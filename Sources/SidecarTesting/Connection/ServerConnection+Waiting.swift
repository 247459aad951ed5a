internal import SidecarExecutor
internal import SidecarProtocol

/// Looks up whether the event that a script waits for has happened.
extension ServerConnection {
  enum WaitOutcome {
    /// It has happened; the script has consumed it.
    case satisfied
    case pending
    /// It cannot happen any more.
    case impossible
  }

  /// Returns whether the event has happened, and consumes it.
  func outcome(of event: PendingWait.Event) -> WaitOutcome {
    switch event {
    case .written:
      // Corked or stalled output is written later, at the end of the group.
      return groups.corkDepth > 0 || unsent.isEmpty && writeSide != .ending ? .satisfied : .pending
    case .resumption: return .pending
    case .received(let condition): return outcome(of: condition)
    }
  }

  private func outcome(of condition: TestServer.WaitCondition) -> WaitOutcome {
    switch condition {
    case .request: return requestOutcome()
    case .bytes(let count): return takeRaw(unparsed.count >= count ? count : nil)
    case .bytesThrough(let end): return takeRaw(unparsed.endOfFirst(end))
    case .message: return backlog.takeMessage() != nil ? .satisfied : outcomeWithoutInput
    case .messageAndAnswer(let answer):
      guard let message = backlog.takeMessage() else { return outcomeWithoutInput }
      for message in answer(message) { enqueue(message) }
      return .satisfied
    case .ping: return take(&backlog.pings)
    case .pong: return take(&backlog.pongs)
    case .close: return take(&backlog.closes)
    case .endOfStream: return readSide == .ended ? .satisfied : .pending
    }
  }

  /// True while the client can still send something that counts.
  private var canReceive: Bool { readSide != .ended && (!protocolState.isOpen || protocolState.canReceive) }

  /// The outcome of a wait for input that has not arrived.
  private var outcomeWithoutInput: WaitOutcome { canReceive ? .pending : .impossible }

  private func take(_ count: inout Int) -> WaitOutcome {
    guard count > 0 else { return outcomeWithoutInput }
    count -= 1
    return .satisfied
  }

  private func takeRaw(_ count: Int?) -> WaitOutcome {
    guard let count else { return protocolState.isOpen ? .impossible : outcomeWithoutInput }
    record(.rawInput(Array(unparsed[..<count])))
    unparsed.removeFirst(count)
    return .satisfied
  }

  private func requestOutcome() -> WaitOutcome {
    if request == nil, requestViolation == nil { parseRequest() }
    if request != nil { return .satisfied }
    return requestViolation != nil || readSide == .ended ? .impossible : .pending
  }
}

extension [UInt8] {
  /// The position after the first occurrence of `part`.
  fileprivate func endOfFirst(_ part: [UInt8]) -> Int? {
    guard count >= part.count else { return nil }
    return (0...(count - part.count)).first { self[$0...].starts(with: part) }.map { $0 + part.count }
  }
}
