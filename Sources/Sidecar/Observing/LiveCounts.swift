internal import SidecarExecutor

/// Counts what this library keeps alive in this process, to assert that nothing leaks.
///
/// ```swift
/// let before = LiveCounts.current
/// try await job()
/// assert(LiveCounts.current == before)
/// ```
///
/// A `shutdown` uncounts everything that it ends before it returns. The threads and sockets of a `TestServer` in this
/// process are counted too. The few threads that all sidecars share, and that stay, are not.
public struct LiveCounts: Hashable, Sendable, CustomStringConvertible {
  /// Sidecars that have been made and whose shutdown is not over.
  public let sidecars: Int
  /// Sidecar threads that have not ended.
  public let threads: Int
  /// Open sockets.
  public let connections: Int
  /// Tasks that were started with `run` and have not ended.
  public let tasks: Int

  /// Counts now; from any thread.
  public static var current: LiveCounts {
    LiveCounts(
      sidecars: LiveCounters.sidecars.value, threads: LiveCounters.threads.value,
      connections: LiveCounters.connections.value, tasks: LiveCounters.tasks.value)
  }

  /// The counts with their names, in one line.
  public var description: String {
    "\(sidecars) sidecars, \(threads) threads, \(connections) connections, \(tasks) tasks"
  }
}
