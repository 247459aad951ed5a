/// Handles a registered descriptor that has become ready. Called on the loop's thread.
package protocol ReadinessHandler: AnyObject {
  func descriptorIsReady(_ readiness: Readiness)
}

/// The loop that a sidecar thread runs: poll → I/O → timers → jobs, over and over.
///
/// Fair by construction: one turn serves every descriptor that is ready (each handler does a bounded amount of work,
/// and is called again if there is more), then the timers that are due, then the jobs that had arrived. What arrives
/// during a turn waits for the next one.
///
/// Ends when a stop is requested, or when the system does not let it poll: then ``failure`` says why.
///
/// Bound to its thread: every member except ``init(jobs:wake:)`` must be used there, which debug builds check.
package final class EventLoop {
  /// Names one registered descriptor. One that has been taken back is recognised and ignored.
  package struct Registration: Hashable, Sendable {
    fileprivate let slot: UInt32
    fileprivate let generation: UInt32

    fileprivate var token: UInt64 { UInt64(generation) << 32 | UInt64(slot) }
  }

  private struct Slot {
    var generation: UInt32 = 0
    var descriptor: Int32 = -1
    var interest: Readiness = []
    var handler: (any ReadinessHandler)?
  }

  private static let wakeToken = UInt64.max
  /// 64 KiB: larger reads fall out of the cache before they are parsed.
  private static let readBufferCapacity = 64 * 1024
  /// How long the loop sleeps at most while the signal that should wake it may be missing.
  private static let longestSleepWithoutSignal: Int32 = 10

  private let jobs: JobQueue
  let busyPoll = BusyPoll()
  private var wake: WakeSignal?
  // Exclusivity is unchecked: all of this belongs to one thread, and no access lasts while a handler, an action or a
  // job runs. The checks would take a quarter of a turn.
  @exclusivity(unchecked) private var poller: Poller?
  @exclusivity(unchecked) private var timers = TimerQueue()
  @exclusivity(unchecked) private var slots: [Slot] = []
  @exclusivity(unchecked) private var freeSlots: [UInt32] = []
  @exclusivity(unchecked) private var batch: [Job] = []
  @exclusivity(unchecked) private var pollRetry = PollRetry()
  private var endObservers: [EndObserver: (SystemError?) -> Void] = [:]
  private var nextEndObserver: UInt64 = 0
  @exclusivity(unchecked) private var readBufferStorage: UnsafeMutableRawBufferPointer?

  init(jobs: JobQueue, wake: WakeSignal) throws(SystemError) {
    self.jobs = jobs
    self.wake = wake
    var poller = Poller()
    try poller.add(wake.descriptor, interest: .readable, token: EventLoop.wakeToken)
    self.poller = consume poller
  }

  deinit {
    Memory.free(readBufferStorage)
  }

  private func assertOnThread() {
    assert(jobs.isCurrent, "An EventLoop was used off its thread. Post a closure to the SidecarThread instead.")
  }

  // MARK: Descriptors

  /// Watches `descriptor`; from the next turn on `handler`, which is retained, is called when it is ready.
  ///
  /// - Throws: The error of epoll. When the loop has ended: its ``failure``, or `EBADF` if it ended without one.
  package func register(
    _ descriptor: Int32, interest: Readiness, handler: any ReadinessHandler
  ) throws(SystemError) -> Registration {
    assertOnThread()
    if freeSlots.isEmpty {
      freeSlots.append(UInt32(slots.count))
      slots.append(Slot())
    }
    let slot = freeSlots[freeSlots.count - 1]
    let registration = Registration(slot: slot, generation: slots[Int(slot)].generation)
    guard poller != nil else { throw failure ?? .notOpen("epoll_ctl") }
    try poller?.add(descriptor, interest: interest, token: registration.token)
    freeSlots.removeLast()
    slots[Int(slot)].descriptor = descriptor
    slots[Int(slot)].interest = interest
    slots[Int(slot)].handler = handler
    return registration
  }

  /// Changes what a descriptor is watched for.
  package func update(_ registration: Registration, interest: Readiness) {
    assertOnThread()
    let index = Int(registration.slot)
    guard isCurrent(registration), slots[index].interest != interest else { return }
    slots[index].interest = interest
    // Does not fail for a descriptor that is registered and open.
    try? poller?.modify(slots[index].descriptor, interest: interest, token: registration.token)
  }

  /// Stops watching a descriptor. To be called before the descriptor is closed; events already polled are dropped.
  package func deregister(_ registration: Registration) {
    assertOnThread()
    let index = Int(registration.slot)
    guard isCurrent(registration) else { return }
    try? poller?.remove(slots[index].descriptor)
    slots[index].generation &+= 1
    slots[index].descriptor = -1
    slots[index].handler = nil
    freeSlots.append(registration.slot)
  }

  /// Whether a registration still has its slot. None has, once the loop has ended.
  private func isCurrent(_ registration: Registration) -> Bool {
    let index = Int(registration.slot)
    return index < slots.count && slots[index].generation == registration.generation
  }

  /// Says that a peer is about to answer: the loop busy-polls for a moment before it next sleeps.
  package func expectAnswer() {
    assertOnThread()
    _ = busyPoll.request()
  }

  // MARK: Timers

  /// Runs `action` on the loop at `deadline`.
  ///
  /// - Returns: The timer; nil for ``Deadline/never`` and on a loop that has ended, where the action never runs.
  @discardableResult
  package func schedule(at deadline: Deadline, _ action: @escaping () -> Void) -> TimerID? {
    assertOnThread()
    guard let instant = deadline.instant, poller != nil else { return nil }
    return timers.schedule(at: instant, action)
  }

  /// Cancels a timer that has not run yet, and releases its action.
  package func cancel(_ timer: TimerID?) {
    assertOnThread()
    if let timer { timers.cancel(timer) }
  }

  // MARK: The read buffer

  /// The buffer that every connection on this thread reads into, one at a time: an idle connection owns none.
  package var readBuffer: UnsafeMutableRawBufferPointer {
    assertOnThread()
    if let readBufferStorage { return readBufferStorage }
    let storage = Memory.allocate(EventLoop.readBufferCapacity)
    readBufferStorage = storage
    return storage
  }

  /// Leaves the buffer to the caller, who frees it with ``Memory/free(_:)`` or `free`; the next read gets another one.
  package func detachReadBuffer() {
    assertOnThread()
    readBufferStorage = nil
  }

  // MARK: What it holds

  /// How many descriptors, timers and observers of the end are registered.
  package var registrationCount: Int {
    assertOnThread()
    return slots.count - freeSlots.count + timers.count + endObservers.count
  }

  // MARK: Running

  /// Whether descriptors and timers are still served.
  package var isRunning: Bool { poller != nil }

  /// Why the loop ended, or is about to; nil if nothing failed.
  @exclusivity(unchecked) package private(set) var failure: SystemError?

  /// Turns until a stop is requested or polling keeps failing, runs the jobs that were there by then, and ends.
  func run() {
    while turn() {}
    serveJobs()
    end()
  }

  /// Runs one turn.
  ///
  /// - Returns: False when the loop has to stop.
  private func turn() -> Bool {
    let timeout: Int32
    switch jobs.park() {
    case .stop: return false
    case .jobs: timeout = 0
    case .none: timeout = millisecondsToNextTimer()
    }
    // Without registered descriptors, there is only the sleep to poll for.
    let hasDescriptors = slots.count != freeSlots.count
    if timeout != 0 || hasDescriptors {
      serveDescriptors(timeout: timeout, busyPolling: timeout != 0 && hasDescriptors && busyPoll.begin())
    }
    serveTimers()
    serveJobs()
    return failure == nil
  }

  private func millisecondsToNextTimer() -> Int32 {
    let longest: Int32 = wake?.hasLostSignal == true ? EventLoop.longestSleepWithoutSignal : -1
    guard let due = timers.nextDue() else { return longest }
    let timeout = max(.zero, MonotonicInstant.now.duration(to: due)).pollMilliseconds
    return longest < 0 ? timeout : min(timeout, longest)
  }

  /// Waits for descriptors, and returns how many are ready. After a failure it pauses, or ends the loop.
  private func poll(milliseconds: Int32) -> Int {
    do throws(SystemError) {
      let count = try poller?.wait(milliseconds: milliseconds) ?? 0
      if pollRetry.isFailing { pollRetry.succeeded() }
      return count
    } catch {
      if let pause = pollRetry.failed(error, at: .now) {
        // Jobs that come during the pause wait for its end: only a poll could be woken.
        SystemThread.sleep(milliseconds: milliseconds < 0 ? pause : min(pause, milliseconds))
      } else {
        failure = error
      }
      return 0
    }
  }

  /// Polls without sleeping until a descriptor is ready, for at most ``BusyPoll/length``; returns how many are.
  private func pollBusily() -> Int {
    let end = MonotonicInstant.now + BusyPoll.length
    while failure == nil {
      let count = poll(milliseconds: 0)
      if count > 0 {
        let isAnswer = (0..<count).contains { poller?.event($0).token != EventLoop.wakeToken }
        // A wake-up brings a job, and is not the answer. The request holds until that is done.
        if isAnswer { busyPoll.end(found: true) } else { busyPoll.interrupt() }
        return count
      }
      guard MonotonicInstant.now < end else { break }
    }
    busyPoll.end(found: false)
    return 0
  }

  private func serveDescriptors(timeout: Int32, busyPolling: Bool) {
    var count = busyPolling ? pollBusily() : 0
    if count == 0, failure == nil { count = poll(milliseconds: timeout) }
    // A handler's answer may bring a job before this turn is over, and the loop will find it without being woken.
    if count > 0 { jobs.unpark() }
    for index in 0..<count {
      guard let event = poller?.event(index) else { return }
      if event.token == EventLoop.wakeToken {
        wake?.clear()
        continue
      }
      let slot = slots[Int(event.token & 0xFFFF_FFFF)]
      if slot.generation == UInt32(event.token >> 32) { slot.handler?.descriptorIsReady(event.readiness) }
    }
  }

  private func serveTimers() {
    guard timers.count > 0 else { return }
    let now = MonotonicInstant.now
    // A timer that one of these schedules waits for the next turn, even if it is due.
    var remaining = timers.count
    while remaining > 0, let action = timers.popDue(at: now) {
      action()
      remaining -= 1
    }
  }

  private func serveJobs() {
    jobs.take(into: &batch)
    guard !batch.isEmpty else { return }
    for job in batch { job.run() }
    batch.removeAll(keepingCapacity: batch.capacity <= 1024)
  }

  // MARK: Ending

  /// Names an action that waits for the loop's end.
  package struct EndObserver: Hashable, Sendable {
    fileprivate let number: UInt64
  }

  /// Runs `action` when the loop is about to end, while descriptors can still be deregistered and closed in order.
  ///
  /// - Parameter action: Receives what failed, or nil if the loop was told to stop.
  /// - Returns: Nil, without running anything, if the loop has ended.
  package func whenEnding(_ action: @escaping (SystemError?) -> Void) -> EndObserver? {
    assertOnThread()
    guard poller != nil else { return nil }
    nextEndObserver += 1
    let observer = EndObserver(number: nextEndObserver)
    endObservers[observer] = action
    return observer
  }

  /// Releases an action that waits for the loop's end.
  package func cancel(_ observer: EndObserver?) {
    assertOnThread()
    if let observer { endObservers[observer] = nil }
  }

  /// Calls the observers, releases every handler and timer, and closes the poller.
  private func end() {
    while let (observer, action) = endObservers.first {
      endObservers[observer] = nil
      action(failure)
    }
    let handlers = slots.compactMap(\.handler)
    slots.removeAll()
    freeSlots.removeAll()
    timers = TimerQueue()
    poller = nil
    wake = nil
    // Released last: a handler that is freed may use the loop.
    _ = handlers
  }
}
