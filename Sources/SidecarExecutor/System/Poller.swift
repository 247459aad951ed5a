/// Watches descriptors, level-triggered, each under a token of the caller's choice.
///
/// Starts as a ``PollSet``, which needs no descriptor and no set-up: a thread with one connection never needs more. An
/// ``EpollSet`` takes over when there are more descriptors, and stays.
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
        try instance.control(.add, descriptor, interest, token)
      }
      many = consume instance
    }
    try many?.control(.add, descriptor, interest, token)
  }

  mutating func modify(_ descriptor: Int32, interest: Readiness, token: UInt64) throws(SystemError) {
    if many == nil { few.modify(descriptor, interest: interest, token: token) }
    try many?.control(.modify, descriptor, interest, token)
  }

  mutating func remove(_ descriptor: Int32) throws(SystemError) {
    if many == nil { few.remove(descriptor) }
    try many?.control(.remove, descriptor, [], 0)
  }

  /// Waits until a descriptor is ready or the time has passed.
  ///
  /// - Parameter milliseconds: How long to wait; a negative number waits without end.
  /// - Returns: How many descriptors are ready. A wait that a signal interrupts returns 0.
  /// - Throws: The error of the system call. The descriptors are still watched: the caller may wait again.
  mutating func wait(milliseconds: Int32) throws(SystemError) -> Int {
    // Not by optional chaining: `??` takes no closure that throws a typed error.
    if many != nil { return try many?.wait(milliseconds: milliseconds) ?? 0 }
    return try few.wait(milliseconds: milliseconds)
  }

  /// One of the entries that the last ``wait(milliseconds:)`` found, whatever has been added or removed since.
  func event(_ index: Int) -> Event {
    // An epoll instance that has taken over since the wait has found nothing yet.
    if let event = many?.event(index) { return event }
    return few.event(index)
  }
}
