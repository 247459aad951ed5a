internal import SidecarExecutor
internal import SidecarProtocol
internal import Synchronization

/// Compresses messages on their senders' threads, one after the other (RFC 7692 §7.2.1).
///
/// Each message changes the window of the next, so compressed messages must be queued in the order in which they were
/// compressed: `enqueue` runs under the lock. The lock order is this lock before the send queue's. Nothing else runs
/// under it: no system call, no continuation.
final class MessageCompressor: Sendable {
  private struct State: ~Copyable {
    var deflater: Deflater?
    var buffer = ByteBuffer()
  }

  private let state = Locked(State())
  /// Messages of at least this size are compressed; none is until the handshake has agreed on it.
  private let threshold = Atomic(Int.max)

  /// Compresses from now on: the server has agreed.
  func start(_ agreement: PermessageDeflate.Agreement, _ options: WebSocketCompression) {
    state.withLock { $0.deflater = Deflater(agreement, role: .client, level: options.level) }
    threshold.store(options.threshold, ordering: .releasing)
  }

  /// Compresses no more, because a compressed message was lost: the peer's window would differ. Uncompressed messages
  /// may be sent at any time (RFC 7692 §6).
  func stop() {
    threshold.store(.max, ordering: .releasing)
  }

  /// True if a message of `byteCount` bytes is to be compressed.
  func compresses(_ byteCount: Int) -> Bool { byteCount >= threshold.load(ordering: .acquiring) }

  /// Compresses `payload`, and queues the result with `enqueue`.
  func compress<Result>(
    _ payload: UnsafeRawBufferPointer, enqueue: (UnsafeRawBufferPointer) -> Result
  ) -> Result {
    state.withLock { state in
      defer { state.buffer.removeAll(keepingCapacityUpTo: OutgoingFrames.keptCapacity) }
      state.deflater?.compress(payload, into: &state.buffer)
      return enqueue(state.buffer.bytes)
    }
  }
}
