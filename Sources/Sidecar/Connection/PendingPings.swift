internal import SidecarExecutor
internal import Synchronization
internal import SidecarProtocol

/// The Pings that have not been answered yet, in the order they were sent.
///
/// A Pong answers the Ping with its payload and every one before it: a peer may answer only the latest (RFC 6455
/// §5.5.3). One that matches none was not asked for, and is ignored.
final class PendingPings: Sendable {
  typealias Answer = Promise<Result<Duration, WebSocketError>>

  private static let nextNumber = Atomic<UInt64>(0)

  /// The payload of a Ping (RFC 6455 §5.5): `bytes` if they are not too many, or one that no other Ping of this process
  /// has.
  static func payload(_ bytes: [UInt8]?) throws(WebSocketError) -> WebSocketPayload {
    if let bytes {
      guard bytes.count <= 125 else { throw .pingTooLong(byteCount: bytes.count) }
      return WebSocketPayload(bytes)
    }
    let number = nextNumber.wrappingAdd(1, ordering: .relaxed).newValue
    return withUnsafeBytes(of: number.bigEndian) { WebSocketPayload(copying: $0) }
  }

  private struct Pending {
    let payload: WebSocketPayload
    let sent: MonotonicInstant
    let answer: Answer
  }

  private enum Phase {
    case open
    /// New Pings fail, because closing has begun; those that were sent may still be answered.
    case refusing(WebSocketError)
    case ended(WebSocketError)
  }

  private struct State {
    var pending: [Pending] = []
    var phase = Phase.open
  }

  private let state = Locked(State())

  /// Records a Ping that is about to be sent; if none may be sent any more, its answer is the error.
  func expect(_ payload: WebSocketPayload, answer: Answer) {
    let error: WebSocketError? = state.withLock { state in
      switch state.phase {
      case .open:
        state.pending.append(Pending(payload: payload, sent: .now, answer: answer))
        return nil
      case .refusing(let error), .ended(let error): return error
      }
    }
    if let error { answer.complete(.failure(error)) }
  }

  /// Fails every later Ping.
  func refuse(_ error: WebSocketError) {
    state.withLock { state in
      if case .open = state.phase { state.phase = .refusing(error) }
    }
  }

  /// Fails a Ping that could not be sent, because our Close frame was queued before it.
  func cannotSend(_ payload: WebSocketPayload) {
    let failed: Answer? = state.withLock { state in
      guard let index = state.pending.lastIndex(where: { $0.payload == payload }) else { return nil }
      return state.pending.remove(at: index).answer
    }
    failed?.complete(.failure(.closed(nil)))
  }

  /// Forgets a Ping whose caller has given up.
  func forget(_ answer: Answer) {
    state.withLock { state in state.pending.removeAll { $0.answer === answer } }
  }

  /// How many Pings wait for their Pong.
  var pendingCount: Int { state.withLock { $0.pending.count } }

  /// Takes a Pong.
  func receive(_ payload: WebSocketPayload) {
    let answered: ArraySlice<Pending> = state.withLock { state in
      guard let index = state.pending.firstIndex(where: { $0.payload == payload }) else { return [] }
      defer { state.pending.removeFirst(index + 1) }
      return state.pending[...index]
    }
    let now = MonotonicInstant.now
    for ping in answered { ping.answer.complete(.success(ping.sent.duration(to: now))) }
  }

  /// Fails every Ping that is waiting, and every later one.
  func end(_ error: WebSocketError) {
    let failed = state.withLock { state in
      if case .ended = state.phase {} else { state.phase = .ended(error) }
      defer { state.pending = [] }
      return state.pending
    }
    for ping in failed { ping.answer.complete(.failure(error)) }
  }
}
