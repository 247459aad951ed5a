import Synchronization

/// A number that any thread can raise.
public final class Tally: Sendable {
  private let number = Atomic(0)

  /// Makes a number that is zero.
  public init() {}

  /// The number now.
  public var count: Int { number.load(ordering: .relaxed) }

  /// Raises the number; returns it.
  @discardableResult
  public func add(_ amount: Int = 1) -> Int {
    number.wrappingAdd(amount, ordering: .relaxed).newValue
  }
}

/// Something that is open until it is closed, from any thread.
public final class Latch: Sendable {
  private let state = Atomic(true)

  /// Makes one that is open.
  public init() {}

  /// Whether nobody has closed it.
  public var isOpen: Bool { state.load(ordering: .relaxed) }

  /// Closes it, for good.
  public func close() { state.store(false, ordering: .relaxed) }
}
