public import CSystem
internal import Glibc

/// What a socket is watched for, and what it turned out to be ready for.
///
/// Inlinable, without which every set of them in another module is built through generic code at run time.
@usableFromInline
package struct Readiness: OptionSet, Sendable, Hashable {
  @usableFromInline package let rawValue: UInt32

  @inlinable
  package init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  @inlinable package static var readable: Readiness { Readiness(rawValue: EPOLLIN.rawValue) }
  @inlinable package static var writable: Readiness { Readiness(rawValue: EPOLLOUT.rawValue) }
  /// The peer has ended its half of the stream. Watched for even while reading is paused.
  @inlinable package static var peerEnded: Readiness { Readiness(rawValue: EPOLLRDHUP.rawValue) }
  /// Both halves are over. Reported whether it is watched for or not.
  @inlinable package static var hungUp: Readiness { Readiness(rawValue: EPOLLHUP.rawValue) }
  /// Report each change once, and not for as long as it lasts. Watched for only.
  @inlinable package static var onceAnEdge: Readiness { Readiness(rawValue: EPOLLET.rawValue) }
  /// The socket failed. Reported whether it is watched for or not.
  @inlinable package static var failed: Readiness { Readiness(rawValue: EPOLLERR.rawValue) }
}

/// An epoll instance: level-triggered unless asked for otherwise, each descriptor under a token of the caller's choice.
struct Poller: ~Copyable {
  private let epoll: FileDescriptor
  private let events: UnsafeMutablePointer<epoll_event>
  /// How many ready descriptors one poll reports: enough to pay for the system call, few enough to stay fair to timers
  /// and jobs. What does not fit is reported by the next poll.
  private static let capacity = 64

  init() throws(SystemError) {
    let number = epoll_create1(CInt(EPOLL_CLOEXEC))
    guard number >= 0 else { throw SystemError("epoll_create1", code: errno) }
    epoll = FileDescriptor(owning: number)
    events = .allocate(capacity: Poller.capacity)
  }

  deinit {
    events.deallocate()
  }

  func add(_ descriptor: Int32, interest: Readiness, token: UInt64) throws(SystemError) {
    try control(EPOLL_CTL_ADD, descriptor, interest, token)
  }

  func modify(_ descriptor: Int32, interest: Readiness, token: UInt64) throws(SystemError) {
    try control(EPOLL_CTL_MOD, descriptor, interest, token)
  }

  func remove(_ descriptor: Int32) throws(SystemError) {
    try control(EPOLL_CTL_DEL, descriptor, [], 0)
  }

  private func control(
    _ operation: Int32, _ descriptor: Int32, _ interest: Readiness, _ token: UInt64
  ) throws(SystemError) {
    let error = csystem_epoll_ctl(epoll.number, operation, descriptor, interest.rawValue, token)
    guard error == 0 else { throw SystemError("epoll_ctl", code: error) }
  }

  /// Waits until a descriptor is ready or the time is over; a negative timeout waits for ever. Returns how many are
  /// ready; a signal that interrupts the wait is none.
  func wait(milliseconds: Int32) -> Int {
    let count = csystem_epoll_wait(epoll.number, events, CInt(Poller.capacity), milliseconds)
    precondition(count >= 0 || count == -EINTR, "epoll_wait failed with errno \(-count)")
    return Int(max(0, count))
  }

  /// One of the entries that the last ``wait(milliseconds:)`` found.
  func event(_ index: Int) -> (token: UInt64, readiness: Readiness) {
    let event = csystem_event_at(events, CInt(index))
    return (event.token, Readiness(rawValue: event.events))
  }
}
