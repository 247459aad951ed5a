import Glibc
import SidecarExecutor
import SidecarProtocol
import SidecarTestSupport

@testable import Sidecar
@testable import SidecarTransport

// What tests reach for inside the client. A redesign changes this file, and not the tests.

// MARK: What is waiting

extension WebSocketSidecar {
  nonisolated var unreadMessageCount: Int { shared.inbox.unreadCount }
  nonisolated var unwrittenByteCount: Int { shared.sendQueue.unwrittenByteCount }
  nonisolated var pendingPingCount: Int { shared.pings.pendingCount }
  nonisolated var hasWaitingReceiver: Bool { shared.inbox.hasWaiters }
  nonisolated var hasWaitingSender: Bool { shared.sendQueue.hasWaiters }
  /// True while the thread would busy-poll for a reply.
  nonisolated var awaitsReply: Bool { shared.responseHint.receiverIsWaiting }
  /// How often in a row busy-polling found nothing.
  nonisolated var busyPollMissCount: Int { thread.busyPollMissCount }
  /// The host whose look-up goes on.
  nonisolated var hostBeingResolved: String? { connection.connector.withLock { $0 }?.hostBeingResolved }

  // These wait for what other threads do and nothing announces. Each returns false if it does not come.

  nonisolated func inboxFills() async -> Bool { await eventually { () async in shared.inbox.isFull } }
  nonisolated func messagesArrive(_ count: Int) async -> Bool {
    await eventually { () async in unreadMessageCount == count }
  }
  nonisolated func receiverStartsToWait() async -> Bool { await eventually { () async in hasWaitingReceiver } }
  nonisolated func senderStartsToWait() async -> Bool { await eventually { () async in hasWaitingSender } }
  nonisolated func senderStartsToWrite() async -> Bool { await eventually { () async in unwrittenByteCount > 0 } }
  nonisolated func lookUpEnds() async -> Bool { await eventually { () async in hostBeingResolved == nil } }
  /// Blocks, because on the cooperative thread pool the wait for a busy-poll would be a wait for the pool.
  nonisolated func busyPollMisses(moreThan count: Int) -> Bool { eventually { busyPollMissCount > count } }
}

// MARK: Opening and ending

extension WebSocketSidecar {
  typealias OpeningResult = Result<SharedConnectionState.NegotiatedConnection, WebSocketError>

  /// What `connected` waits for. Holds nothing else of the sidecar.
  nonisolated var openingResult: Promise<OpeningResult> { shared.opened }

  /// How the connection ended, once its descriptor is closed.
  nonisolated var endedConnectionStatus: CloseStatus? { shared.closed.current }

  /// Waits until the descriptor is closed.
  @discardableResult
  nonisolated func connectionEnded() async -> CloseStatus { await shared.closed.uncancellableValue() }

  /// Waits until it is known how the connection ends.
  @discardableResult
  nonisolated func closeStatusKnown() async -> CloseStatus { await shared.settledStatus.uncancellableValue() }

  nonisolated func whenConnectionEnded(_ body: @escaping @Sendable (CloseStatus) -> Void) {
    shared.closed.whenComplete(body)
  }

  /// Begins to close, and does not wait for it.
  nonisolated func startClosing(timeout: Duration) throws {
    _ = try postClose(code: .normalClosure, reason: "", timeout: timeout)
  }

  /// Sends a Ping, and calls `body` when its wait ends.
  nonisolated func ping(whenAnswered body: @escaping @Sendable () -> Void) throws {
    try postPing(PendingPings.payload(nil)).whenComplete { _ in body() }
  }

  /// Gives the connection up, as a shutdown does at its bound.
  nonisolated func abortConnection() { connection.post { $0.abort(.timedOut(.closingHandshake)) } }

  /// Tells the connection to end once more.
  nonisolated func endConnectionAgain() async {
    let isDone = Promise<Void>()
    connection.post { connection in
      connection.endConnection(connection.closeStatus(.abandoned, because: .cancelled))
      isDone.complete(())
    }
    await isDone.uncancellableValue()
  }

  /// Ends both directions of the stream, as a shutdown does when it abandons the thread.
  nonisolated func abortStream() { shared.sendQueue.abortStream() }

  /// Holds the thread until the peer has reset the connection, so that all that it sent is read together, and sends
  /// `message` before that is read. Returns when the thread is held.
  nonisolated func holdUntilPeerIsGone(thenSend message: WebSocketMessage? = nil) async {
    let isHeld = Promise<Void>()
    connection.post { connection in
      isHeld.complete(())
      var state = pollfd(fd: connection.descriptor ?? -1, events: 0, revents: 0)
      _ = poll(&state, 1, 60_000)
      guard let message else { return }
      _ = connection.shared.sendQueue.send(message, orWait: nil)
      connection.flush()
    }
    await isHeld.uncancellableValue()
  }
}

// MARK: The shutdown

extension WebSocketSidecar {
  /// Requests the shutdown, and does not wait for its report.
  nonisolated func requestShutdownOnly(within bound: Duration) {
    coordinator.request(bound: bound, keepingUnread: false, payload: .normal)
  }

  /// Does what a thread does that was told to arm the shutdown's timer, and comes to it only now.
  ///
  /// - Parameter decision: Which decision of the shutdown told it so.
  nonisolated func armShutdownTimer(in delay: Duration, decision: Int) {
    coordinator.wake(at: .now + delay, decision)
  }

  nonisolated var reportSoFar: ShutdownReport { coordinator.provisionalReport }

  /// Waits for the report, without requesting the shutdown.
  nonisolated func reported() async -> ShutdownReport { await coordinator.report.uncancellableValue() }

  nonisolated func whenReported(_ body: @escaping @Sendable () -> Void) {
    coordinator.report.whenComplete { _ in body() }
  }

  /// What a sidecar consists of, to see that it is freed.
  nonisolated var parts: Parts { Parts(connection: connection, coordinator: coordinator, thread: thread) }

  struct Parts {
    fileprivate(set) weak var connection: Connection?
    fileprivate(set) weak var coordinator: ShutdownCoordinator?
    fileprivate(set) weak var thread: SidecarThread?

    /// Waits until connection and coordinator are freed. Nothing announces that: closures of theirs are freed on other
    /// threads.
    func areFreed(withThread: Bool = false) async -> Bool {
      await eventually { () async in
        connection == nil && coordinator == nil && !(withThread && thread != nil)
      }
    }
  }
}

// MARK: The thread and its socket

extension SidecarThread {
  /// How much is registered with the loop: descriptors, timers and observers.
  func registrationCount() async -> Int {
    await Task(executorPreference: self) { self.loop.registrationCount }.value
  }

  /// Waits until that much is registered, which nothing announces.
  func registers(_ count: Int) async -> Bool {
    await eventually { () async in await registrationCount() == count }
  }

  /// Waits until everything that was posted has run.
  func settle() async {
    for _ in 0..<3 { await Task(executorPreference: self) { await Task.yield() }.value }
  }
}

extension Connection {
  /// The descriptor of the stream, if there is one.
  var descriptor: Int32? {
    if case .connected(let stream) = phase { stream.descriptor } else { nil }
  }
}

extension WebSocketSidecar {
  nonisolated func descriptor() async -> Int32? { await connection.descriptor }

  /// How much the kernel keeps of what has arrived, at most.
  nonisolated func kernelReceiveBuffer() async -> Int32 {
    guard let descriptor = await connection.descriptor else { return 0 }
    var (size, length) = (Int32(0), socklen_t(MemoryLayout<Int32>.size))
    getsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, &length)
    return size
  }

  /// The most that ``kernelReceiveBuffer()`` may be where both ends are on the same host: the kernel doubles what it is
  /// asked for.
  static var sameHostReceiveBufferLimit: Int32 { 2 * StreamSocket.sameHostReceiveBuffer }

  /// For how long the server's end of the stream is waited for, after the Close frames.
  static var endOfStreamGrace: Duration { Connection.endOfStreamGrace }
}

/// Blocks until there is something to read; returns whether it came.
func becomesReadable(_ descriptor: Int32) -> Bool {
  var state = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
  return poll(&state, 1, 60_000) == 1
}
