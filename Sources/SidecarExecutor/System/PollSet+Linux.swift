internal import Glibc

/// Up to two descriptors: the thread's own, with which it is woken, and a socket.
struct PollSet {
  private static let capacity = 2

  private var watched = InlineArray<2, pollfd>(repeating: pollfd())
  private var tokens = InlineArray<2, UInt64>(repeating: 0)
  private(set) var count = 0
  /// What the last wait found. Kept apart, since whoever is told of one may remove the other.
  private var found = InlineArray<2, Poller.Event>(repeating: (0, []))

  /// Returns false, and does nothing, where there is no place left.
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

  mutating func wait(milliseconds: Int32) -> Int {
    var span = watched.mutableSpan
    let status = span.withUnsafeMutableBufferPointer { poll($0.baseAddress, nfds_t(count), milliseconds) }
    guard status >= 0 || errno == EINTR else {
      // There is no other way to wait without a descriptor more, and a thread that can't wait can't keep its promises.
      fatalError(
        "\(SystemError("poll", code: errno)). It needs RLIMIT_NOFILE to be \(count) at least; lower it no further.")
    }
    guard status > 0 else { return 0 }
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
  /// In the words of `poll`, which has the same bits as epoll: the C module has the compiler check that.
  fileprivate var pollEvents: Int16 { Int16(truncatingIfNeeded: rawValue) }

  fileprivate init(pollEvents: Int16) {
    self.init(rawValue: UInt32(UInt16(bitPattern: pollEvents)))
    // Not open: whoever asks will be told.
    if rawValue & UInt32(POLLNVAL) != 0 { insert(.failed) }
  }
}
