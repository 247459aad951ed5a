/// Names one scheduled timer. A slot and its generation: not reused in one queue before 2^32 others have had the slot.
package struct TimerID: Hashable, Sendable {
  fileprivate let slot: UInt32
  fileprivate let generation: UInt32
}

/// Actions and when they are due, earliest first; equal times in the order of scheduling.
///
/// A binary heap with cancellation by tombstone: cancelling removes the action at once, so that nothing it captured
/// lives on, and leaves a dead entry in the heap. The entry is dropped when it reaches the top, or with all others when
/// more than half of the entries are dead. The time is passed in; there is no clock here.
package struct TimerQueue {
  package typealias Instant = MonotonicInstant

  private struct Entry {
    let due: Instant
    let number: UInt64
    let timer: TimerID

    func isBefore(_ other: Entry) -> Bool {
      due != other.due ? due < other.due : number < other.number
    }
  }

  /// Holds an action. In an array and not in a dictionary, whose hashing would cost more than the rest.
  private struct Slot {
    var generation: UInt32 = 0
    var action: (() -> Void)?
  }

  private var heap: [Entry] = []
  private var slots: [Slot] = []
  private var freeSlots: [UInt32] = []
  private var nextNumber: UInt64 = 0

  package init() {}

  /// How many timers are scheduled and not cancelled.
  package var count: Int { slots.count - freeSlots.count }

  /// Schedules `action` for `due`.
  package mutating func schedule(at due: Instant, _ action: @escaping () -> Void) -> TimerID {
    let slot = freeSlots.popLast() ?? addSlot()
    slots[Int(slot)].action = action
    let timer = TimerID(slot: slot, generation: slots[Int(slot)].generation)
    heap.append(Entry(due: due, number: nextNumber, timer: timer))
    nextNumber += 1
    siftUp(heap.count - 1)
    return timer
  }

  /// Removes a timer.
  ///
  /// - Returns: Its action, for the caller to release outside of its lock; nil if it was taken out or cancelled before.
  @discardableResult
  package mutating func cancel(_ timer: TimerID) -> (() -> Void)? {
    guard let action = takeAction(timer) else { return nil }
    if count == 0 {
      let isSmall = heap.count <= 64
      heap.removeAll(keepingCapacity: isSmall)
    } else if heap.count > 64, heap.count > 2 * count {
      let slots = slots
      heap.removeAll { slots[Int($0.timer.slot)].generation != $0.timer.generation }
      for index in stride(from: heap.count / 2 - 1, through: 0, by: -1) { siftDown(index) }
    }
    return action
  }

  /// When the earliest timer is due that waits for its time; nil if there is none.
  package mutating func nextDue() -> Instant? {
    while let top = heap.first {
      if isLive(top.timer) { return top.due }
      removeTop()
    }
    return nil
  }

  /// Removes the earliest timer, and returns its action, if it is due at `now`.
  package mutating func popDue(at now: Instant) -> (() -> Void)? {
    nextDueTimer(at: now).flatMap { takeAction($0) }
  }

  /// Names the earliest timer if it is due at `now`, each timer once.
  ///
  /// Its action stays: ``cancel(_:)`` returns it, to be run or released.
  mutating func nextDueTimer(at now: Instant) -> TimerID? {
    guard let due = nextDue(), due <= now else { return nil }
    return removeTop().timer
  }

  /// Whether a timer still has its slot. A timer of another queue, such as the one of a loop that has ended, has none.
  private func isLive(_ timer: TimerID) -> Bool {
    Int(timer.slot) < slots.count && slots[Int(timer.slot)].generation == timer.generation
  }

  private mutating func addSlot() -> UInt32 {
    slots.append(Slot())
    return UInt32(truncatingIfNeeded: slots.count - 1)
  }

  /// Takes the action out of its slot, which is free for another timer then.
  private mutating func takeAction(_ timer: TimerID) -> (() -> Void)? {
    guard isLive(timer) else { return nil }
    slots[Int(timer.slot)].generation &+= 1
    freeSlots.append(timer.slot)
    defer { slots[Int(timer.slot)].action = nil }
    return slots[Int(timer.slot)].action
  }

  @discardableResult
  private mutating func removeTop() -> Entry {
    heap.swapAt(0, heap.count - 1)
    let top = heap.removeLast()
    if !heap.isEmpty { siftDown(0) }
    return top
  }

  private mutating func siftUp(_ start: Int) {
    var child = start
    while child > 0 {
      let parent = (child - 1) / 2
      guard heap[child].isBefore(heap[parent]) else { return }
      heap.swapAt(child, parent)
      child = parent
    }
  }

  private mutating func siftDown(_ start: Int) {
    var parent = start
    while true {
      var smallest = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
        if heap[child].isBefore(heap[smallest]) { smallest = child }
      }
      guard smallest != parent else { return }
      heap.swapAt(parent, smallest)
      parent = smallest
    }
  }
}
