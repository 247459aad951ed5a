internal import Glibc

/// Is told when a registered descriptor becomes ready. Called on the loop's thread.
package protocol ReadinessHandler: AnyObject {
  func descriptorIsReady(_ readiness: Readiness)
}

/// The loop that a sidecar thread runs: poll → I/O → timers → jobs, round and round.
///
/// Fair by construction: one turn serves every descriptor that is ready (each handler does a bounded amount of work and
/// is reported again if there is more), then the timers that are due, then the jobs that had arrived, and no more. What
/// arrives during a turn waits for the next one.
///
/// Bound to its thread: every member but ``init(jobs:wake:)`` must be used there, which debug builds check.
package final class EventLoop {
  /// Names one registered descriptor; a stale one is recognised and ignored.
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
  /// 64 KiB: reads of 32 to 64 KiB beat larger ones, which fall out of the cache before they are parsed.
  private static let readBufferCapacity = 64 * 1024

  private let jobs: JobQueue
  let busyPoll = BusyPoll()
  private var wake: WakeSignal?
  // Unchecked: all of it belongs to one thread, and no access lasts while a handler, an action or a job runs. The checks
  // would be a quarter of a turn.
  @exclusivity(unchecked) private var poller: Poller?
  @exclusivity(unchecked) private var timers = TimerQueue()
  @exclusivity(unchecked) private var slots: [Slot] = []
  @exclusivity(unchecked) private var freeSlots: [UInt32] = []
  @exclusivity(unchecked) private var batch: [Job] = []
  private var endObservers: [EndObserver: () -> Void] = [:]
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
    free(readBufferStorage?.baseAddress)
  }

  private func assertOnThread() {
    assert(jobs.isCurrent, "An EventLoop was used off its thread. Post a closure to the SidecarThread instead.")
  }

  // MARK: Descriptors

  /// Watches `descriptor`; from the next turn on `handler`, which is retained, is told when it is ready.
  ///
  /// Throws the error of epoll, if that is what watches, or `EBADF` when the loop has ended.
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
    guard poller != nil else { throw SystemError("epoll_ctl", code: EBADF) }
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
    // Cannot fail for a descriptor that is registered and open.
    try? poller?.modify(slots[index].descriptor, interest: interest, token: registration.token)
  }

  /// Stops watching a descriptor. Call it before the descriptor is closed; events already polled are dropped.
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

  /// Whether a registration is still the one of its slot. None is, once the loop has ended.
  private func isCurrent(_ registration: Registration) -> Bool {
    let index = Int(registration.slot)
    return index < slots.count && slots[index].generation == registration.generation
  }

  /// Takes note that a peer is about to answer: the loop watches for a moment before it next sleeps.
  package func expectAnswer() {
    assertOnThread()
    _ = busyPoll.request()
  }

  // MARK: Timers

  /// Runs `action` on the loop at `deadline`, or never for ``Deadline/never`` and on a loop that has ended.
  @discardableResult
  package func schedule(at deadline: Deadline, _ action: @escaping () -> Void) -> TimerID? {
    assertOnThread()
    guard let instant = deadline.instant, poller != nil else { return nil }
    return timers.schedule(at: instant, action)
  }

  /// Cancels a timer that has not run yet, and lets go of its action.
  package func cancel(_ timer: TimerID?) {
    assertOnThread()
    if let timer { timers.cancel(timer) }
  }

  // MARK: The read buffer

  /// The buffer that every connection on this thread reads into, one at a time: an idle connection owns none.
  package var readBuffer: UnsafeMutableRawBufferPointer {
    assertOnThread()
    if let readBufferStorage { return readBufferStorage }
    guard let memory = malloc(EventLoop.readBufferCapacity) else { fatalError("Out of memory for the read buffer.") }
    let storage = UnsafeMutableRawBufferPointer(start: memory, count: EventLoop.readBufferCapacity)
    readBufferStorage = storage
    return storage
  }

  /// Leaves the buffer to whoever called, who frees it; the next read has another one.
  package func detachReadBuffer() {
    assertOnThread()
    readBufferStorage = nil
  }

  // MARK: What it holds

  /// How many descriptors, timers and observers of the end are registered. What has ended must have taken back its own.
  package var registrationCount: Int {
    assertOnThread()
    return slots.count - freeSlots.count + timers.count + endObservers.count
  }

  // MARK: Running

  /// Whether descriptors and timers are still served.
  package var isRunning: Bool { poller != nil }

  /// Turns until a stop is requested, then runs the jobs that were handed in before it, and ends.
  func run() {
    while turn() {}
    serveJobs()
    end()
  }

  /// One round; returns false when the loop is to stop.
  private func turn() -> Bool {
    let timeout: Int32
    switch jobs.park() {
    case .stop: return false
    case .jobs: timeout = 0
    case .none: timeout = millisecondsToNextTimer()
    }
    // Without descriptors, there is only the sleep to poll for.
    let hasDescriptors = slots.count != freeSlots.count
    if timeout != 0 || hasDescriptors {
      serveDescriptors(timeout: timeout, watching: timeout != 0 && hasDescriptors && busyPoll.begin())
    }
    serveTimers()
    serveJobs()
    return true
  }

  private func millisecondsToNextTimer() -> Int32 {
    guard let due = timers.nextDue() else { return -1 }
    return max(.zero, MonotonicInstant.now.duration(to: due)).pollMilliseconds
  }

  /// Polls without sleeping until there is something, but not for long; returns how many descriptors are ready.
  private func watch() -> Int {
    let end = MonotonicInstant.now + BusyPoll.length
    while true {
      let count = poller?.wait(milliseconds: 0) ?? 0
      if count > 0 {
        let isAnswer = (0..<count).contains { poller?.event($0).token != EventLoop.wakeToken }
        // A wake-up is not what is waited for. Once it has been seen to, the loop goes on.
        if isAnswer { busyPoll.end(found: true) } else { busyPoll.interrupt() }
        return count
      }
      guard MonotonicInstant.now < end else {
        busyPoll.end(found: false)
        return 0
      }
    }
  }

  private func serveDescriptors(timeout: Int32, watching: Bool) {
    var count = watching ? watch() : 0
    if count == 0 { count = poller?.wait(milliseconds: timeout) ?? 0 }
    // Whoever is answered in this turn may hand in a job before it is over: the loop is going to find it.
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
    // Timers that these schedule are later than `now`, or wait for the next turn.
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

  /// Names an action that waits for the loop's end.
  package struct EndObserver: Hashable, Sendable {
    fileprivate let number: UInt64
  }

  /// Runs `action` when the loop is about to end, while descriptors can still be deregistered and closed properly;
  /// returns nil, and runs nothing, if it has ended.
  package func whenEnding(_ action: @escaping () -> Void) -> EndObserver? {
    assertOnThread()
    guard poller != nil else { return nil }
    nextEndObserver += 1
    let observer = EndObserver(number: nextEndObserver)
    endObservers[observer] = action
    return observer
  }

  /// Lets go of an action that waits for the loop's end.
  package func cancel(_ observer: EndObserver?) {
    assertOnThread()
    if let observer { endObservers[observer] = nil }
  }

  /// Tells the observers, lets go of every handler and timer, and closes the poller.
  private func end() {
    while let (observer, action) = endObservers.first {
      endObservers[observer] = nil
      action()
    }
    let handlers = slots.compactMap(\.handler)
    slots.removeAll()
    freeSlots.removeAll()
    timers = TimerQueue()
    poller = nil
    wake = nil
    _ = handlers
  }
}
