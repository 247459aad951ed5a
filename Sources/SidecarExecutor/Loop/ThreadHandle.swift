/// Who joins a thread of the system's: one caller joins it, or it is detached, whatever happens at the same time.
struct ThreadHandle: ~Copyable {
  // Not private: the compiler (6.3) emits a broken reference to it from the files that free the structure.
  enum State {
    /// There is no thread yet, or it has been joined or detached.
    case none
    case joinable(SystemThread)
    /// A caller waits for it to end, and then has joined it.
    case beingJoined
    /// The same, but if that wait fails, the thread has to be detached.
    case beingJoinedAndAbandoned
  }

  private let state = Locked(State.none)

  /// Takes over a thread that has just been started.
  func adopt(_ thread: SystemThread) {
    state.withLock { $0 = .joinable(thread) }
  }

  /// Whether a caller waits for the thread.
  var isBeingJoined: Bool {
    state.withLock { if case .beingJoined = $0 { true } else { false } }
  }

  /// Joins the thread, at most until `deadline`.
  ///
  /// - Returns: Whether this call has joined it. False at once if another one waits for it.
  func join(until deadline: Deadline) -> Bool {
    guard let thread = take(leaving: .beingJoined) else { return false }
    let isJoined = thread.join(until: deadline)
    let mustDetach = state.withLock { state in
      defer { state = isJoined ? .none : .joinable(thread) }
      if case .beingJoinedAndAbandoned = state { return !isJoined }
      return false
    }
    if mustDetach { abandon() }
    return isJoined
  }

  /// Joins a thread that has done everything except leaving the kernel, which takes microseconds.
  func reap() {
    take(leaving: .none)?.join()
  }

  /// Detaches the thread, now or when the caller that waits for it has given up.
  func abandon() {
    let thread: SystemThread? = state.withLock { state in
      switch state {
      case .joinable(let thread):
        state = .none
        return thread
      case .beingJoined: state = .beingJoinedAndAbandoned
      case .beingJoinedAndAbandoned, .none: break
      }
      return nil
    }
    thread?.detach()
  }

  private func take(leaving next: State) -> SystemThread? {
    state.withLock { state in
      guard case .joinable(let thread) = state else { return nil }
      state = next
      return thread
    }
  }
}
