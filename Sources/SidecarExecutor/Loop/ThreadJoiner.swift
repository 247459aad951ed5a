/// Who joins a thread of the system's: one caller joins it, or it is detached, whatever happens at the same time.
struct ThreadJoiner: ~Copyable {
  /// The thread; nil before it has been started, and after it has been joined or detached.
  private let thread = Locked<SystemThread?>(nil)

  /// Takes over a thread that has just been started.
  func adopt(_ thread: SystemThread) {
    self.thread.withLock { $0 = thread }
  }

  /// Joins a thread that has done everything except leaving the kernel, which takes microseconds.
  func reap() {
    take()?.join()
  }

  /// Detaches the thread.
  func abandon() {
    take()?.detach()
  }

  private func take() -> SystemThread? {
    thread.withLock { thread in
      defer { thread = nil }
      return thread
    }
  }
}
