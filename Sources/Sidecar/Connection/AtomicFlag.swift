internal import Synchronization

/// A flag that several threads read and set. Relaxed: it does not synchronise other memory.
final class AtomicFlag: Sendable {
  private let state: Atomic<Bool>

  init(_ isSet: Bool) {
    state = Atomic(isSet)
  }

  var isSet: Bool { state.load(ordering: .relaxed) }

  func set(_ value: Bool) { state.store(value, ordering: .relaxed) }
}
