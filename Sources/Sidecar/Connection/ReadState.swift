internal import SidecarProtocol

/// What the connection knows about reading between two turns.
struct ReadState: ~Copyable {
  /// Why the stream is not read.
  enum Pause {
    /// The inbox is full: a receiver resumes reading.
    case inboxIsFull

    /// The send queue is above its watermark, and the message handler could not answer: a flush resumes reading.
    case sendQueueIsFull
  }

  /// The part of a read that has not been parsed, because the turn was over.
  struct PendingInput {
    /// The whole read buffer, which the loop has given up.
    let buffer: UnsafeMutableRawBufferPointer
    let unparsed: UnsafeMutableRawBufferPointer
  }

  var pause: Pause?
  var pendingInput: PendingInput?
  /// True if a read turn has been posted, because the poller cannot see the pending input.
  var turnIsPosted = false
  /// True once the poller has reported the end of both directions while reading was paused. The descriptor is no longer
  /// polled then, because the poller would report this again and again; what the kernel still holds is read as room
  /// appears.
  var hasHungUp = false
}
