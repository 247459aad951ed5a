internal import SidecarExecutor

/// Who writes to the stream. Only the owner does, and the stream is closed only while no sender owns it: so a sender
/// can never write to a descriptor that was closed and reused.
enum WriteOwner {
  case nobody

  /// A sender writes its own message on its own thread.
  case sender

  /// The sidecar's thread writes, now or as soon as it runs.
  case sidecar
}
