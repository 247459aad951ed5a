import SidecarExecutor

@testable import Sidecar

// What tests reach for inside the client: how far it has read, and why it reads no more.

extension WebSocketSidecar {
  /// True while reading is paused because too much is unread.
  nonisolated var isPausedByInbox: Bool { shared.inbox.isFull }

  /// True if the end of the stream was seen while reading was paused.
  nonisolated func hasHungUp() async -> Bool { await connection.hasHungUp }

  /// Waits until the thread has done what it was asked to do so far, and what that has led to.
  nonisolated func waitForThread() async {
    for _ in 0..<20 { await Task(executorPreference: thread) {}.value }
  }
}

extension Connection {
  fileprivate var hasHungUp: Bool { reader.hasHungUp }
}

extension WebSocketSidecar {
  /// True while a sender waits for room.
  nonisolated var sendQueueHasWaiters: Bool { sendQueue.hasWaiters }
}

extension WebSocketSidecar {
  /// True while reading is paused because the message handler could not answer.
  nonisolated func isPausedByHandler() async -> Bool { await connection.isPausedByHandler }
}

extension Connection {
  fileprivate var isPausedByHandler: Bool {
    if case .sendQueueIsFull = reader.pause { true } else { false }
  }
}
