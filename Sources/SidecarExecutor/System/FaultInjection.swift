internal import Synchronization

/// Makes system calls fail on purpose, so that tests can see what follows.
///
/// For tests in a process of their own: a fault hits every thread of the process.
package enum FaultInjection {
  /// The calls that can be made to fail.
  package enum Call: Hashable, Sendable {
    /// Starting a thread.
    case startThread
    /// Waiting for descriptors, with `poll` or epoll.
    case poll
    /// Writing to the descriptor that wakes a loop.
    case wake
    /// Reading from that descriptor.
    case clearWake
  }

  /// Returns the errno value to fail with, or nil to let the call through. Called for each call, on the calling thread.
  package typealias Fault = @Sendable () -> Int32?

  // The only thing that is read while there are no faults.
  private static let isArmed = Atomic(false)
  private static let faults = Locked<[Call: Fault]>([:])

  /// Makes `call` fail as `fault` says, or no more if that is nil.
  package static func inject(_ call: Call, _ fault: Fault?) {
    let previous = faults.withLock { faults in
      defer { faults[call] = fault }
      return faults[call]
    }
    _ = consume previous
    isArmed.store(true, ordering: .releasing)
  }

  /// The errno value with which this call has to fail; nil, as ever outside of tests, if it is to be made.
  @inline(__always)
  static func next(_ call: Call) -> Int32? {
    isArmed.load(ordering: .acquiring) ? injected(call) : nil
  }

  @inline(never)
  private static func injected(_ call: Call) -> Int32? {
    let fault = faults.withLock { $0[call] }
    return fault?()
  }
}
