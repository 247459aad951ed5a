/// Runs work that may block, on threads of its own.
///
/// A caller never waits for a thread to be made, and nothing here depends on Dispatch, whose `async` sleeps and retries
/// in its caller for as long as the process can start no more threads.
///
/// **One thread in reserve.** Before a thread runs a piece of work it makes sure that another one is idle, and starts
/// one if not: work that never returns holds up nothing else. Threads in reserve end when they have had nothing to do
/// for five seconds.
///
/// **When no thread can be had**, or there are ``maximumThreads`` already, work waits for a thread that is there, in
/// order. If every one of them is blocked, the work waits for the first to return, or for the system to have another
/// thread, which it is asked for every few milliseconds. Nothing is ever dropped.
package final class BlockingWorkQueue: Sendable {
  /// A piece of work. It may block, and run code of the application's.
  package typealias Work = @Sendable () -> Void

  /// For work of the whole process that may run the application's code: its log, its cancellation handlers, late jobs.
  package static let shared = BlockingWorkQueue(name: "sidecar-work", minimumThreads: 1, maximumThreads: 256)

  /// The name of its threads.
  package let name: String
  private let minimumThreads: Int
  private let maximumThreads: Int
  private let idleLimit: Duration

  private struct State {
    var waiting = FIFO<Work>()
    /// Threads that run, and those that are about to.
    var threads = 0
    var starting = 0
    /// How many of the threads run no work.
    var idle = 0

    /// Whether no thread is there to take the next piece of work.
    var lacksReserve: Bool { idle + starting <= 0 }
  }

  private let state = Locked(State())
  /// One signal for each piece of work that waits.
  private let available = Semaphore()

  /// Makes a queue without threads: the first work starts one.
  ///
  /// - Parameters:
  ///   - name: The name of its threads, of which the system keeps 15 bytes.
  ///   - maximumThreads: How many pieces of work can run, or be blocked, at a time.
  package convenience init(name: String, maximumThreads: Int) {
    self.init(name: name, minimumThreads: 0, maximumThreads: maximumThreads)
  }

  /// - Parameters:
  ///   - minimumThreads: How many threads ``prepare()`` starts, which then stay.
  ///   - idleLimit: How long any other thread stays without work.
  init(name: String, minimumThreads: Int, maximumThreads: Int, idleLimit: Duration = .seconds(5)) {
    precondition(maximumThreads >= max(1, minimumThreads), "A work queue needs room for a thread.")
    self.name = name
    self.minimumThreads = minimumThreads
    self.maximumThreads = maximumThreads
    self.idleLimit = idleLimit
  }

  // MARK: Handing work in

  /// Runs `work` on a thread of ``shared``, which has had one since before the first sidecar was made.
  package static func run(_ work: @escaping Work) {
    if !HelperThreads.areRunning { try? HelperThreads.start() }
    shared.append(work)
  }

  /// Runs `work` on a thread of this queue, soon.
  ///
  /// - Throws: The error of `pthread_create` if the queue has no thread and the system none to give. `work` will not be
  ///   run then.
  package func run(_ work: @escaping Work) throws(SystemError) {
    if state.withLock({ $0.threads == 0 }), let error = startThread(), state.withLock({ $0.threads == 0 }) {
      throw error
    }
    append(work)
  }

  /// Runs `work` when the queue has a thread for it. Never waits.
  func append(_ work: @escaping Work) {
    let lacksReserve = state.withLock { state in
      state.waiting.append(work)
      return state.lacksReserve
    }
    available.signal()
    // The last thread found no other one to take its place: perhaps there is one by now.
    if lacksReserve { startReserve() }
  }

  // MARK: Threads

  /// How many threads the queue has.
  package var threadCount: Int { state.withLock { $0.threads } }

  /// Starts the threads that are always there; does nothing if they are.
  func prepare() throws(SystemError) {
    while state.withLock({ $0.threads + $0.starting < minimumThreads }) {
      if let error = startThread() { throw error }
    }
  }

  /// Starts a thread if no other would take the next piece of work, and goes on trying if the system has none.
  private func startReserve() {
    guard !hasReserve() else { return }
    TimerThread.shared.retry { [weak self] in self?.hasReserve() ?? true }
  }

  /// Whether nothing waits for a thread that could be had: one is in reserve now, or no more are allowed, or all is
  /// done.
  private func hasReserve() -> Bool {
    let isNeeded = state.withLock { $0.lacksReserve && $0.threads + $0.starting < maximumThreads }
    guard isNeeded, startThread() != nil else { return true }
    // Without work that waits, the next piece will ask.
    return state.withLock { $0.waiting.isEmpty }
  }

  private func startThread() -> SystemError? {
    state.withLock { $0.starting += 1 }
    var failure: SystemError?
    do throws(SystemError) {
      LiveCounters.helperThreads.increment()
      try SystemThread.detached(name) { self.serve() }
    } catch {
      LiveCounters.helperThreads.decrement()
      failure = error
    }
    state.withLock { state in
      state.starting -= 1
      guard failure == nil else { return }
      state.threads += 1
      state.idle += 1
    }
    return failure
  }

  private func serve() {
    while true {
      let isSurplus = state.withLock { $0.threads > minimumThreads }
      if available.wait(until: isSurplus ? .after(idleLimit) : .never) {
        runNext()
      } else if endIfSurplus() {
        return LiveCounters.helperThreads.decrement()
      }
    }
  }

  private func runNext() {
    var work: Work?
    let lacksReserve = state.withLock { state in
      state.idle -= 1
      work = state.waiting.removeFirst()
      return state.lacksReserve
    }
    if lacksReserve { startReserve() }
    work?()
    // Before the thread counts as idle again: what the work captured may have a `deinit` that blocks.
    work = nil
    state.withLock { $0.idle += 1 }
  }

  private func endIfSurplus() -> Bool {
    state.withLock { state in
      guard state.waiting.isEmpty, state.threads > minimumThreads else { return false }
      state.threads -= 1
      state.idle -= 1
      return true
    }
  }
}
