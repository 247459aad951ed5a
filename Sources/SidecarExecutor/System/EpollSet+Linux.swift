internal import CSidecarSystem
internal import Glibc

/// Any number of descriptors, in the kernel's keeping.
struct EpollSet: ~Copyable {
  /// How many ready descriptors one wait reports: enough to pay for the system call, few enough to stay fair to timers
  /// and jobs. What does not fit is reported by the next one.
  private static let capacity = 64

  private let epoll: FileDescriptor
  private let events: UnsafeMutablePointer<epoll_event>
  private var foundCount = 0

  init() throws(SystemError) {
    let number = epoll_create1(CInt(EPOLL_CLOEXEC))
    guard number >= 0 else { throw SystemError("epoll_create1", code: errno) }
    epoll = FileDescriptor(owning: number)
    events = .allocate(capacity: EpollSet.capacity)
  }

  deinit {
    events.deallocate()
  }

  func control(
    _ operation: Int32, _ descriptor: Int32, _ interest: Readiness, _ token: UInt64
  ) throws(SystemError) {
    let error = csidecar_epoll_ctl(epoll.number, operation, descriptor, interest.rawValue, token)
    guard error == 0 else { throw SystemError("epoll_ctl", code: error) }
  }

  mutating func wait(milliseconds: Int32) -> Int {
    let count = csidecar_epoll_wait(epoll.number, events, CInt(EpollSet.capacity), milliseconds)
    precondition(count >= 0 || count == -EINTR, "epoll_wait failed with errno \(-count)")
    foundCount = Int(max(0, count))
    return foundCount
  }

  func event(_ index: Int) -> Poller.Event? {
    guard index < foundCount else { return nil }
    let event = csidecar_event_at(events, CInt(index))
    return (event.token, Readiness(rawValue: event.events))
  }
}
