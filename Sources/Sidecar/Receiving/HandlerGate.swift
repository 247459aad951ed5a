internal import Synchronization

/// Whether the message handler may be called now. One byte, so that each message costs one test.
final class HandlerGate: Sendable {
  private static let congested: UInt8 = 1
  private static let stopped: UInt8 = 2

  private let reasonsToWait = Atomic<UInt8>(0)

  /// True if the handler may be called.
  var isOpen: Bool { reasonsToWait.load(ordering: .relaxed) == 0 }

  /// True while the send queue is above its watermark: the handler may answer each message, so it has to wait.
  var isCongested: Bool { reasonsToWait.load(ordering: .relaxed) & HandlerGate.congested != 0 }

  /// True once a shutdown is requested: the handler is not called any more, not even within one read.
  var isStopped: Bool { reasonsToWait.load(ordering: .relaxed) & HandlerGate.stopped != 0 }

  func setCongested(_ value: Bool) {
    if value {
      reasonsToWait.bitwiseOr(HandlerGate.congested, ordering: .relaxed)
    } else if isCongested {
      reasonsToWait.bitwiseAnd(~HandlerGate.congested, ordering: .relaxed)
    }
  }

  func stop() { reasonsToWait.bitwiseOr(HandlerGate.stopped, ordering: .relaxed) }
}
