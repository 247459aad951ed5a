internal import SidecarExecutor

/// Decides when a connection whose socket is empty reads again before its thread sleeps.
///
/// Waking a thread takes ten times as long as a read that finds nothing, and on a virtual machine longer than the peer
/// needs to send another 64 KiB. While much arrives, an empty socket is read a few more times, for about as long as a
/// wake-up takes. ``SpinBackoff`` stops that where it finds nothing.
///
/// The thread does not yield between two reads: another thread that wants the core would keep it for milliseconds.
struct ReadSpin: ~Copyable {
  /// How many bytes in one read make another one likely.
  static let muchInOneRead = 8 << 10
  /// How many times an empty socket is read: some 15 µs.
  static let looks = 48

  /// Whether much has been read, and the socket has not stayed empty since.
  private(set) var isFlowing = false
  private let backoff = SpinBackoff()

  /// Records a read.
  mutating func hasRead(_ byteCount: Int) {
    if byteCount >= ReadSpin.muchInOneRead { isFlowing = true }
  }

  /// Calls `look` until it returns true, at most ``looks`` times, if that is worthwhile. The socket has just been found
  /// empty.
  mutating func lookAgain(_ look: () -> Bool) {
    guard isFlowing else { return }
    isFlowing = false
    guard backoff.shouldSpin() else { return }
    for _ in 0..<ReadSpin.looks where look() {
      isFlowing = true
      backoff.record(hit: true)
      return
    }
    backoff.record(hit: false)
  }
}
