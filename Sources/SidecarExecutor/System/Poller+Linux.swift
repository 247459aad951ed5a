public import CSidecarSystem

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
  /// The peer has ended its half of the stream. ObservableState for even while reading is paused.
  @inlinable package static var peerEnded: Readiness { Readiness(rawValue: EPOLLRDHUP.rawValue) }
  /// Both halves are over. Reported whether it is watched for or not.
  @inlinable package static var hungUp: Readiness { Readiness(rawValue: EPOLLHUP.rawValue) }
  /// The socket failed. Reported whether it is watched for or not.
  @inlinable package static var failed: Readiness { Readiness(rawValue: EPOLLERR.rawValue) }
}

/// Watches descriptors, level-triggered, each under a token of the caller's choice.
///
/// Few of them are looked at with `poll`, which needs nothing to be made or undone: a thread with one connection never has
/// more. Where there are more, an epoll instance takes over, and stays.
struct Poller: ~Copyable {
  /// A descriptor that is ready.
  typealias Event = (token: UInt64, readiness: Readiness)

  private var few = PollSet()
  private var many: EpollSet?

  mutating func add(_ descriptor: Int32, interest: Readiness, token: UInt64) throws(SystemError) {
    if many == nil {
      if few.add(descriptor, interest: interest, token: token) { return }
      let instance = try EpollSet()
      for index in 0..<few.count {
        let (descriptor, interest, token) = few.entry(index)
        try instance.control(EPOLL_CTL_ADD, descriptor, interest, token)
      }
      many = consume instance
    }
    try many?.control(EPOLL_CTL_ADD, descriptor, interest, token)
  }

  mutating func modify(_ descriptor: Int32, interest: Readiness, token: UInt64) throws(SystemError) {
    if many == nil { few.modify(descriptor, interest: interest, token: token) }
    try many?.control(EPOLL_CTL_MOD, descriptor, interest, token)
  }

  mutating func remove(_ descriptor: Int32) throws(SystemError) {
    if many == nil { few.remove(descriptor) }
    try many?.control(EPOLL_CTL_DEL, descriptor, [], 0)
  }

  /// Waits until a descriptor is ready or the time is over; a negative timeout waits for ever. Returns how many are
  /// ready; a signal that interrupts the wait is none.
  mutating func wait(milliseconds: Int32) -> Int {
    many?.wait(milliseconds: milliseconds) ?? few.wait(milliseconds: milliseconds)
  }

  /// One of the entries that the last ``wait(milliseconds:)`` found, whatever has been added or removed since.
  func event(_ index: Int) -> Event {
    // An epoll instance that has taken over since has found nothing yet.
    if let event = many?.event(index) { return event }
    return few.event(index)
  }
}
