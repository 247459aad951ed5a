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
/// Jobs run in the order in which they were enqueued, whatever their priority. No job is ever lost: one that comes
/// after the thread's end runs on a fallback executor, one at a time and still isolated.
///
/// The thread runs until it is told to stop or the last reference to it is dropped. It blocks all signals that another
/// thread can handle. All members can be used from any thread.
public final class SidecarThread: SerialExecutor, TaskExecutor, Sendable {
  /// The thread's name, of which the system shows the first 15 bytes.
  public let name: String

  let jobs: JobQueue
  // Safe to share: the loop asserts that it is used on its own thread only.
  private nonisolated(unsafe) let eventLoop: EventLoop
  let ended: Promise<Void>
  let handle = ThreadJoiner()

  /// Starts a thread.
  ///
  /// - Parameter name: The thread's name, of which the system shows the first 15 bytes.
  /// - Throws: ``SystemError`` if the process is out of descriptors (one is needed) or threads. The first thread of the
  ///   process also starts the few helper threads that deadlines and shutdowns rely on.
  public convenience init(name: String = "sidecar") throws(SystemError) {
    try self.init(unstarted: name)
    try start()
  }

  /// Makes a thread that does not run before ``start()``. Until then its maker may act for it: see ``beforeStart(_:)``.
  package init(unstarted name: String) throws(SystemError) {
    self.name = name
    try HelperThreads.start()
    let wake = try WakeSignal()
    jobs = JobQueue(wake: wake)
    eventLoop = try EventLoop(jobs: jobs, wake: wake)
    ended = Promise()
  }

  /// Runs `body` as if on the thread, which has not been started. What it begins goes on while the system makes the
  /// thread.
  package func beforeStart(_ body: () -> Void) {
    jobs.asCurrent(body)
  }

  /// Starts the thread; to be called once.
  ///
  /// - Throws: The error of `pthread_create`. What was begun for the thread has then ended as it does at a thread's
  ///   end.
  package func start() throws(SystemError) {
    let main = ThreadMain(jobs: jobs, loop: eventLoop, ended: ended)
    let context = Unmanaged.passRetained(main)
    LiveCounters.threads.increment()
    do {
      handle.adopt(try SystemThread(name, entry: sidecarThreadMain, context: context.toOpaque()))
    } catch {
      LiveCounters.threads.decrement()
      context.release()
      jobs.requestStop()
      main.run()
      ended.complete(())
      throw error
    }
  }

  deinit {
    // The thread itself may drop the last reference, and cannot join itself: only ask it to stop.
    jobs.requestStop()
    handle.abandon()
  }

  // MARK: Executor

  /// Runs a part of a task that is isolated to an actor on this thread. Called by the concurrency runtime.
  public func enqueue(_ job: consuming ExecutorJob) {
    jobs.enqueue(.isolated(UnownedJob(job), asUnownedSerialExecutor()))
  }

  /// Runs a part of a task that prefers this thread. Called by the concurrency runtime.
  @_implements(TaskExecutor,enqueue(_:))
  public func enqueuePreferring(_ job: consuming ExecutorJob) {
    // Both protocols require `enqueue(_:)`, for different purposes. A job that is run as the wrong kind believes that
    // it has to change executors, and is enqueued again at every suspension point.
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
  package static var isAnyCurrent: Bool { CurrentExecutor.marker != nil }

  /// Runs `body` isolated to `actor`, which is pinned to this thread; stops the program if the calling code is not on
  /// it.
  ///
  /// Does what `assumeIsolated` does. That one asks the runtime, which takes a thousand instructions to reach
  /// ``checkIsolated()``. And `body` need not capture anything, as it has an `argument`.
  @inlinable @inline(__always)
  package func isolated<Pinned: Actor, Argument, Result>(
    to actor: Pinned, _ argument: Argument, _ body: @escaping (isolated Pinned, Argument) -> Result
  ) -> Result {
    checkIsolated()
    // Isolation exists in the type only: the function takes its actor like any other argument.
    return unsafeBitCast(body, to: ((Pinned, Argument) -> Result).self)(actor, argument)
  }

  // MARK: Posting

  /// Runs `closure` on the thread, after everything that was enqueued or posted before it.
  package func post(_ closure: @escaping @Sendable () -> Void) {
    jobs.enqueue(.closure(closure))
  }

  /// Says that a peer is about to answer the caller: the loop busy-polls for a moment before it next sleeps.
  package func expectAnswer() {
    if eventLoop.busyPoll.request() { jobs.wake() }
  }

  /// How often in a row busy-polling found nothing, up to ``SpinBackoff/toleratedMisses``.
  package var busyPollMissCount: Int { eventLoop.busyPoll.missCount }

  /// The loop, for code that runs on the thread.
  package var loop: EventLoop {
    checkIsolated()
    return eventLoop
  }
}

/// What the thread itself holds. Not the `SidecarThread`, whose last reference keeps the thread running.
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

// At file scope: a closure in a context that is isolated to the main actor would trap on the new thread.
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
