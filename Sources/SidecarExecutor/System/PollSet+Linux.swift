internal import Glibc

/// Up to two descriptors, watched with `poll`: the one that wakes the thread, and a socket.
struct PollSet {
  private static let capacity = 2

  private var watched = InlineArray<2, pollfd>(repeating: pollfd())
  private var tokens = InlineArray<2, UInt64>(repeating: 0)
  private(set) var count = 0
  /// What the last wait found. Kept apart, because the handler of one descriptor may remove the other.
  private var found = InlineArray<2, Poller.Event>(repeating: (0, []))

  /// Returns false, and does nothing, if the set is full.
  mutating func add(_ descriptor: Int32, interest: Readiness, token: UInt64) -> Bool {
    guard count < PollSet.capacity else { return false }
    watched[count] = pollfd(fd: descriptor, events: interest.pollEvents, revents: 0)
    tokens[count] = token
    count += 1
    return true
  }

  mutating func modify(_ descriptor: Int32, interest: Readiness, token: UInt64) {
    for index in 0..<count where watched[index].fd == descriptor {
      watched[index].events = interest.pollEvents
      tokens[index] = token
    }
  }

  mutating func remove(_ descriptor: Int32) {
    for index in 0..<count where watched[index].fd == descriptor {
      count -= 1
      watched[index] = watched[count]
      tokens[index] = tokens[count]
      return
    }
  }

  func entry(_ index: Int) -> (descriptor: Int32, interest: Readiness, token: UInt64) {
    (watched[index].fd, Readiness(pollEvents: watched[index].events), tokens[index])
  }

  mutating func wait(milliseconds: Int32) throws(SystemError) -> Int {
    let status: Int32
    if let code = FaultInjection.next(.poll) {
      status = -1
      errno = code
    } else {
      var span = watched.mutableSpan
      status = span.withUnsafeMutableBufferPointer { poll($0.baseAddress, nfds_t(count), milliseconds) }
    }
    guard status > 0 else {
      // EINVAL: RLIMIT_NOFILE has been lowered below the number of descriptors.
      if status < 0, errno != EINTR { throw SystemError("poll", code: errno) }
      return 0
    }
    var foundCount = 0
    for index in 0..<count where watched[index].revents != 0 {
      found[foundCount] = (tokens[index], Readiness(pollEvents: watched[index].revents))
      foundCount += 1
    }
    return foundCount
  }

  func event(_ index: Int) -> Poller.Event { found[index] }
}

extension Readiness {
  /// The bits of `poll`, which are those of epoll: the C module asserts it.
  fileprivate var pollEvents: Int16 { Int16(truncatingIfNeeded: rawValue) }

  fileprivate init(pollEvents: Int16) {
    self.init(rawValue: UInt32(UInt16(bitPattern: pollEvents)))
    // The descriptor is not open. Its handler finds out by its next call.
    if rawValue & UInt32(POLLNVAL) != 0 { insert(.failed) }
  }
}
