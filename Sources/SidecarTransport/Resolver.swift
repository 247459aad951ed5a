package import SidecarExecutor

/// Turns host names into addresses, on threads of its own: the system's resolver blocks.
///
/// Look-ups of one name that overlap are one look-up, so a name whose look-ups hang costs one thread however many
/// callers ask. Other names do not wait for it. Only ``capacity`` different names that hang make others wait.
package final class Resolver: Sendable {
  /// Why there is no answer.
  package enum Failure: Error, Hashable, Sendable {
    case resolution(ResolutionError)
    /// The process is out of descriptors, memory or threads; nothing is known about the name.
    case system(SystemError)
  }

  package typealias Answer = Result<[SocketAddress], Failure>

  /// Runs a closure that may block, on another thread. Throws if no thread can be created; must not block to get one.
  package typealias StartWork = @Sendable (@escaping @Sendable () -> Void) throws(SystemError) -> Void

  /// One question, for ``cancel(_:)``.
  package struct Request: Sendable {
    package let host: String
    fileprivate let resolver: Resolver
    fileprivate let lookUpNumber: UInt64
    fileprivate let waiter: UInt64

    /// True until the look-up has ended. Cancelling ends it only if it has not started.
    package var isInProgress: Bool {
      resolver.state.withLock { $0.lookUps[host]?.number == lookUpNumber }
    }

    /// Withdraws the question: the completion is released, and not called, unless the call is already under way.
    ///
    /// A look-up that has started cannot be stopped. It goes on, for callers that ask later.
    package func cancel() {
      let completion = resolver.state.withLock { $0.withdraw(self) }
      _ = consume completion
    }
  }

  private struct LookUp {
    let number: UInt64
    var hasBegun: Bool
    var waiters: [(number: UInt64, completion: @Sendable (Answer) -> Void)] = []
  }

  private struct State {
    var lookUps: [String: LookUp] = [:]
    /// Names that wait until a worker is free.
    var backlog: [String] = []
    var workerCount = 0
    var lastNumber: UInt64 = 0

    mutating func nextNumber() -> UInt64 {
      lastNumber += 1
      return lastNumber
    }

    mutating func withdraw(_ request: Request) -> (@Sendable (Answer) -> Void)? {
      guard var lookUp = lookUps[request.host], lookUp.number == request.lookUpNumber,
        let index = lookUp.waiters.firstIndex(where: { $0.number == request.waiter })
      else { return nil }
      let completion = lookUp.waiters.remove(at: index).completion
      lookUps[request.host] = lookUp
      if lookUp.waiters.isEmpty, !lookUp.hasBegun {
        lookUps[request.host] = nil
        backlog.removeAll { $0 == request.host }
      }
      return completion
    }
  }

  /// How many names are looked up at the same time.
  package static let capacity = 64

  /// The system's resolver, with everything that it is configured to ask, such as `/etc/hosts` and DNS.
  package static let system = Resolver { host throws(Failure) in try SocketCalls.addresses(of: host) }

  private let lookUp: @Sendable (String) throws(Failure) -> [SocketAddress]
  private let startWork: StartWork
  private let capacity: Int
  private let state = Locked(State())

  /// Makes a resolver.
  ///
  /// - Parameters:
  ///   - capacity: How many names are looked up at the same time; further ones wait.
  ///   - startWork: Where the look-ups run.
  ///   - lookUp: Asks for a name, and may block. Addresses with port 0 get the port that is connected to.
  package init(
    capacity: Int = Resolver.capacity, startWork: @escaping StartWork = Resolver.startThread,
    _ lookUp: @escaping @Sendable (String) throws(Failure) -> [SocketAddress]
  ) {
    self.capacity = capacity
    self.startWork = startWork
    self.lookUp = lookUp
  }

  /// Looks a name up.
  ///
  /// - Parameters:
  ///   - host: The name. Numeric addresses need no resolver: see ``SocketAddress/init(numeric:port:)``.
  ///   - completion: Called once with the addresses, never an empty list, in the resolver's order: on another thread,
  ///     or before this method returns if no thread can be created.
  package func resolve(_ host: String, completion: @escaping @Sendable (Answer) -> Void) -> Request {
    let (request, mustStart) = state.withLock { state in
      let waiter = state.nextNumber()
      var mustStart = false
      if state.lookUps[host] == nil {
        mustStart = state.workerCount < capacity
        if mustStart { state.workerCount += 1 } else { state.backlog.append(host) }
        state.lookUps[host] = LookUp(number: state.nextNumber(), hasBegun: mustStart)
      }
      state.lookUps[host]?.waiters.append((waiter, completion))
      let number = state.lookUps[host]?.number ?? 0
      return (Request(host: host, resolver: self, lookUpNumber: number, waiter: waiter), mustStart)
    }
    if mustStart {
      do throws(SystemError) {
        try startWork { self.work(on: host) }
      } catch {
        state.withLock { $0.workerCount -= 1 }
        answer(host, .failure(.system(error)))
      }
    }
    return request
  }

  /// A worker: looks up a name, and then those that found no worker free.
  private func work(on first: String) {
    var next: String? = first
    while let host = next {
      answer(host, ask(host))
      next = state.withLock { state in
        guard !state.backlog.isEmpty else {
          state.workerCount -= 1
          return nil
        }
        let host = state.backlog.removeFirst()
        state.lookUps[host]?.hasBegun = true
        return host
      }
    }
  }

  private func ask(_ host: String) -> Answer {
    Result { () throws(Failure) in
      let addresses = try lookUp(host)
      if addresses.isEmpty { throw .resolution(ResolutionError(host: host, code: SocketCalls.noAddress)) }
      return addresses
    }
  }

  private func answer(_ host: String, _ answer: Answer) {
    let waiters = state.withLock { $0.lookUps.removeValue(forKey: host)?.waiters ?? [] }
    for waiter in waiters { waiter.completion(answer) }
  }

  /// Runs work on a thread of its own, which ends with it. Not on Dispatch, which waits for a thread in its caller.
  package static let startThread: StartWork = { work throws(SystemError) in
    try SystemThread.detached("sidecar-resolve", work)
  }
}
