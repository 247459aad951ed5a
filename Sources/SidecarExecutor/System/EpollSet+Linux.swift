internal import CSidecarSystem
internal import Glibc

/// Any number of descriptors, watched with epoll.
struct EpollSet: ~Copyable {
  enum Operation {
    case add, modify, remove

    fileprivate var code: Int32 {
      switch self {
      case .add: EPOLL_CTL_ADD
      case .modify: EPOLL_CTL_MOD
      case .remove: EPOLL_CTL_DEL
      }
    }
  }

  /// How many ready descriptors one wait reports: enough to pay for the system call, few enough to stay fair to timers
  /// and jobs. The next wait reports the rest.
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
    _ operation: Operation, _ descriptor: Int32, _ interest: Readiness, _ token: UInt64
  ) throws(SystemError) {
    let error = csidecar_epoll_ctl(epoll.number, operation.code, descriptor, interest.rawValue, token)
    guard error == 0 else { throw SystemError("epoll_ctl", code: error) }
  }

  mutating func wait(milliseconds: Int32) throws(SystemError) -> Int {
    foundCount = 0
    let count =
      FaultInjection.next(.poll).map { -$0 }
      ?? csidecar_epoll_wait(epoll.number, events, CInt(EpollSet.capacity), milliseconds)
    guard count >= 0 else {
      if count == -EINTR { return 0 }
      throw SystemError("epoll_wait", code: -count)
    }
    foundCount = Int(count)
    return foundCount
  }

  func event(_ index: Int) -> Poller.Event? {
    guard index < foundCount else { return nil }
    let event = csidecar_event_at(events, CInt(index))
    return (event.token, Readiness(rawValue: event.events))
  }
}
