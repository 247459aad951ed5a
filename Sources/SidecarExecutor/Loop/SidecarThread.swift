internal import CSidecarSystem
internal import Glibc

/// A thread that is a Swift executor and an event loop.
///
/// It is both a `SerialExecutor`, to which actors can be pinned, and a `TaskExecutor`, which tasks can prefer:
///
/// ```swift
/// actor Meter {
///   let thread: SidecarThread
///   init(on thread: SidecarThread) { self.thread = thread }
///   nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }
/// }
/// ```
///
/// Jobs run in the order in which they were enqueued, whatever their priority. No job is ever lost: one that comes when
/// the thread has ended runs on a fallback executor, one at a time and still isolated.
///
/// The thread runs until it is told to stop or the last reference to it is dropped. It blocks all signals that another
/// thread can handle. All members can be used from any thread.
public final class SidecarThread: SerialExecutor, TaskExecutor, Sendable {
  /// The thread's name, of which the system shows the first 15 bytes.
  public let name: String

  private let jobs: JobQueue
  // Safe to share: the loop asserts that it is used on its own thread only.
  private nonisolated(unsafe) let eventLoop: EventLoop
  private let ended: Promise<Void>

  /// What has to become of the system's thread: someone joins it, or it is detached.
  private enum Handle {
    case joinable(pthread_t)
    /// Someone waits for it to end, and then has joined it.
    case beingJoined
    /// The same, but if the wait fails, the thread is to be detached.
    case beingJoinedAndGivenUp
    case released
  }

  private let handle: Locked<Handle>

  /// Starts a thread.
  ///
  /// Throws ``SystemError`` when the process is out of descriptors (one is needed) or threads.
  public convenience init(name: String = "sidecar") throws(SystemError) {
    try self.init(unstarted: name)
    try start()
  }

  /// Makes a thread that does not run before ``start()``. Whoever makes it may act for it until then: see
  /// ``beforeStart(_:)``.
  package init(unstarted name: String) throws(SystemError) {
    self.name = name
    let wake = try WakeSignal()
    jobs = JobQueue(wake: wake)
    eventLoop = try EventLoop(jobs: jobs, wake: wake)
    ended = Promise()
    handle = Locked(.released)
  }

  /// Runs `body` as if on the thread, which has not been started. What it begins goes on while the system makes the thread.
  package func beforeStart(_ body: () -> Void) {
    jobs.asCurrent(body)
  }

  /// Starts the thread; to be called once. If the system has none, whatever was begun for it ends as with the thread's end.
  package func start() throws(SystemError) {
    let main = ThreadMain(jobs: jobs, loop: eventLoop, ended: ended)
    let context = Unmanaged.passRetained(main)
    var thread = pthread_t()
    LiveCounters.threads.increment()
    let error = csidecar_thread_start(&thread, name, sidecarThreadMain, context.toOpaque())
    guard error == 0 else {
      LiveCounters.threads.decrement()
      context.release()
      jobs.requestStop()
      main.run()
      ended.complete(())
      throw SystemError("pthread_create", code: error)
    }
    handle.withLock { $0 = .joinable(thread) }
  }

  deinit {
    // The thread itself may be the one that drops the last reference, and can't join itself: only ask.
    jobs.requestStop()
    abandon()
  }

  // MARK: Executor

  /// Runs a part of a task that is isolated to an actor on this thread. Called by the concurrency runtime.
  public func enqueue(_ job: consuming ExecutorJob) {
    jobs.enqueue(.isolated(UnownedJob(job), asUnownedSerialExecutor()))
  }

  /// Runs a part of a task that prefers this thread. Called by the concurrency runtime.
  @_implements(TaskExecutor,enqueue(_:))
  public func enqueuePreferring(_ job: consuming ExecutorJob) {
    // Both protocols ask for an `enqueue`, with one signature. They need different answers: a job that is run as the
    // wrong kind believes that it has to hop, and is enqueued again at every suspension point.
    jobs.enqueue(.preferring(UnownedJob(job), asUnownedTaskExecutor()))
  }

  /// The thread as an actor's `unownedExecutor`. Does not keep the thread alive: the actor has to.
  public func asUnownedSerialExecutor() -> UnownedSerialExecutor {
    UnownedSerialExecutor(ordinary: self)
  }

  /// Whether the calling code runs on this thread, or on the fallback executor after the thread's end.
  public var isCurrent: Bool { jobs.isCurrent }

  /// Whether the calling code is isolated to this thread; for `assumeIsolated`, which need not trap to find out.
  public func isIsolatingCurrentContext() -> Bool? { jobs.isCurrent }

  /// Stops the program if the calling code does not run on this thread.
  public func checkIsolated() {
    precondition(jobs.isCurrent, "Expected to run on the sidecar thread '\(name)', but runs elsewhere.")
  }

  /// Whether the calling thread is any sidecar's thread, on which nothing may block.
  package static var isAnyCurrent: Bool { csidecar_current_executor() != nil }

  /// Runs `body` isolated to `actor`, which is pinned to this thread; stops the program if the calling code is not on it.
  ///
  /// Does what `assumeIsolated` does. That one asks the runtime, which finds its way to ``checkIsolated()`` in a thousand
  /// instructions; and with an `argument` of its own, `body` need not capture anything.
  @inlinable @inline(__always)
  package func isolated<Pinned: Actor, Argument, Result>(
    to actor: Pinned, _ argument: Argument, _ body: @escaping (isolated Pinned, Argument) -> Result
  ) -> Result {
    checkIsolated()
    // Isolation is a matter of the type only: the function takes its actor like any other argument.
    return unsafeBitCast(body, to: ((Pinned, Argument) -> Result).self)(actor, argument)
  }

  // MARK: Posting

  /// Runs `closure` on the thread, after everything that was enqueued or posted before it.
  package func post(_ closure: @escaping @Sendable () -> Void) {
    jobs.enqueue(.closure(closure))
  }

  /// Takes note that a peer is about to answer whoever calls: the loop watches for a moment before it next sleeps.
  package func expectAnswer() {
    if eventLoop.busyPoll.request() { jobs.wake() }
  }

  /// How often in a row the loop has watched in vain, up to what makes it tired.
  package var busyPollMissCount: Int { eventLoop.busyPoll.missCount }

  /// The loop, for code that runs on the thread.
  package var loop: EventLoop {
    checkIsolated()
    return eventLoop
  }

  // MARK: Ending

  /// Ends the thread, within `bound`; returns whether it has ended.
  ///
  /// Sidecars that are still on it lose their connections, with a Close frame if the kernel takes one: shut them down
  /// first. Jobs that have been enqueued are run. A thread that is held by a job past `bound` is abandoned: it ends by
  /// itself once it can. Not needed where the last reference is dropped anyway. Harmless when repeated.
  public func shutdown(within bound: Duration = .seconds(5)) async -> Bool {
    requestStop()
    let hasEnded = await joined(until: .after(bound))
    if !hasEnded { abandon() }
    return hasEnded
  }

  /// Asks the thread to end, after the jobs that have been enqueued so far. Returns at once; harmless when repeated.
  package func requestStop() {
    jobs.requestStop()
  }

  /// Whether the loop has ended and let go of its descriptors.
  package var hasEnded: Bool { ended.current != nil }

  /// Runs `body` once the thread has ended: on the thread as its last act, or at once if it already has.
  package func whenEnded(_ body: @escaping @Sendable () -> Void) {
    ended.whenComplete(body)
  }

  /// Blocks until the thread has ended and is joined, at most until `deadline`; returns whether it has ended.
  ///
  /// Must not be called on a sidecar thread.
  package func join(until deadline: Deadline) -> Bool {
    precondition(!isCurrent, "A thread cannot join itself. Request the stop, and join from elsewhere.")
    if joinDirectly(until: deadline) { return true }
    guard ended.wait(until: deadline) != nil else { return false }
    reap()
    return true
  }

  /// Waits for the system's thread itself; returns whether it is joined now. Whoever waits for what the thread announces
  /// before it ends is woken for nothing, while the thread still runs.
  private func joinDirectly(until deadline: Deadline) -> Bool {
    guard let thread = takeHandle(leaving: .beingJoined) else { return false }
    let bound = deadline.remaining?.wholeNanoseconds ?? .max
    let isJoined = csidecar_thread_join(thread, bound) == 0
    let isGivenUp = handle.withLock { handle in
      defer { handle = isJoined ? .released : .joinable(thread) }
      if case .beingJoinedAndGivenUp = handle { return true }
      return false
    }
    if isGivenUp, !isJoined { abandon() }
    return isJoined
  }

  /// Suspends until the thread has ended and is joined, at most until `deadline`; returns whether it has ended.
  ///
  /// Not ended early by cancellation: cleaning up is what a cancelled task does. A task that runs on this very thread can
  /// call it: while it waits it does not hold the thread, and it goes on on the fallback executor.
  package func joined(until deadline: Deadline) async -> Bool {
    let joined = Promise<Bool>()
    let timer = DeadlineTimer(deadline) { joined.complete(false) }
    ended.whenComplete { joined.complete(true) }
    let hasEnded = await joined.uncancellableValue()
    timer.cancel()
    if hasEnded { reap() }
    return hasEnded
  }

  /// Whether somebody is waiting for the system's thread.
  package var isBeingJoined: Bool {
    handle.withLock { if case .beingJoined = $0 { true } else { false } }
  }

  /// Gives the thread up: it will end by itself once it is free to, and nobody has to join it.
  package func abandon() {
    let thread: pthread_t? = handle.withLock { handle in
      switch handle {
      case .joinable(let thread):
        handle = .released
        return thread
      case .beingJoined: handle = .beingJoinedAndGivenUp
      case .beingJoinedAndGivenUp, .released: break
      }
      return nil
    }
    if let thread { pthread_detach(thread) }
  }

  /// Joins the system's thread after the exit latch: a matter of the microseconds that it needs to leave the kernel.
  package func reap() {
    if let thread = takeHandle(leaving: .released) { pthread_join(thread, nil) }
  }

  private func takeHandle(leaving state: Handle) -> pthread_t? {
    handle.withLock { handle in
      guard case .joinable(let thread) = handle else { return nil }
      handle = state
      return thread
    }
  }
}

/// What the thread itself holds. Not the `SidecarThread`, whose last reference is what keeps the thread running.
private final class ThreadMain {
  let jobs: JobQueue
  let loop: EventLoop
  let ended: Promise<Void>

  init(jobs: JobQueue, loop: EventLoop, ended: Promise<Void>) {
    self.jobs = jobs
    self.loop = loop
    self.ended = ended
  }

  func run() {
    jobs.asCurrent { loop.run() }
    jobs.end()
  }
}

// At file scope: written as a closure in a context that is isolated to the main actor, it would trap on the new thread.
private func sidecarThreadMain(_ context: UnsafeMutableRawPointer) {
  let ended: Promise<Void>
  do {
    let main = Unmanaged<ThreadMain>.fromOpaque(context).takeRetainedValue()
    ended = main.ended
    main.run()
  }
  // Announced last: by now the descriptors are closed and the jobs handed over.
  LiveCounters.threads.decrement()
  ended.complete(())
}
