/// Names one scheduled timer; never used twice in one queue.
package struct TimerID: Hashable, Sendable {
  fileprivate let number: UInt64
}

/// What is to be done when, earliest first; equal times in the order they were scheduled.
///
/// A binary heap with cancellation by tombstone: cancelling forgets the action at once (so nothing it captured lives
/// on) and leaves a dead entry in the heap, which is dropped when it reaches the top, or all together when more than
/// half of the entries are dead. The time is passed in; there is no clock here.
package struct TimerQueue {
  package typealias Instant = MonotonicInstant

  private struct Entry {
    let due: Instant
    let number: UInt64

    func isBefore(_ other: Entry) -> Bool {
      due != other.due ? due < other.due : number < other.number
    }
  }

  private var heap: [Entry] = []
  private var actions: [UInt64: () -> Void] = [:]
  private var nextNumber: UInt64 = 0

  package init() {}

  /// How many timers are scheduled and not cancelled.
  package var count: Int { actions.count }

  /// Schedules `action` for `due`.
  package mutating func schedule(at due: Instant, _ action: @escaping () -> Void) -> TimerID {
    let entry = Entry(due: due, number: nextNumber)
    nextNumber += 1
    actions[entry.number] = action
    heap.append(entry)
    siftUp(heap.count - 1)
    return TimerID(number: entry.number)
  }

  /// Forgets a timer, and returns its action for the caller to let go of; one that has already run or was cancelled is left
  /// alone.
  @discardableResult
  package mutating func cancel(_ timer: TimerID) -> (() -> Void)? {
    guard let action = actions.removeValue(forKey: timer.number) else { return nil }
    if actions.isEmpty {
      heap.removeAll(keepingCapacity: heap.count <= 64)
    } else if heap.count > 64, heap.count > 2 * actions.count {
      heap.removeAll { actions[$0.number] == nil }
      for index in stride(from: heap.count / 2 - 1, through: 0, by: -1) { siftDown(index) }
    }
    return action
  }

  /// When the earliest timer is due, or nil if there is none.
  package mutating func nextDue() -> Instant? {
    while let top = heap.first {
      if actions[top.number] != nil { return top.due }
      removeTop()
    }
    return nil
  }

  /// Takes the earliest timer out if it is due at `now`.
  package mutating func popDue(at now: Instant) -> (() -> Void)? {
    guard let due = nextDue(), due <= now else { return nil }
    return actions.removeValue(forKey: removeTop().number)
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
