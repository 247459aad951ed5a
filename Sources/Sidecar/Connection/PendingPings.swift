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

  private struct State {
    var pending: [Pending] = []
    var end: WebSocketError?
  }

  private let state = Locked(State())

  /// Records a Ping that is about to be sent; after the end, its answer is the error.
  func expect(_ payload: WebSocketPayload, answer: Answer) {
    let end = state.withLock { state in
      if state.end == nil { state.pending.append(Pending(payload: payload, sent: .now, answer: answer)) }
      return state.end
    }
    if let end { answer.complete(.failure(end)) }
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
      if state.end == nil { state.end = error }
      defer { state.pending = [] }
      return state.pending
    }
    for ping in failed { ping.answer.complete(.failure(error)) }
  }
}
