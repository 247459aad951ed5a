import Glibc
import Sidecar

/// Connect, exchange, shut down, over and over, async and blocking in turn: and nothing is left.
struct Census {
  let options: Options

  /// What the process holds.
  private struct Holdings: Equatable, CustomStringConvertible {
    let threads: Int
    let descriptors: Int
    let residentKiB: Int
    let counts: LiveCounts

    static func now() -> Holdings {
      Holdings(
        threads: Run.status("Threads"), descriptors: entries(of: "/proc/self/fd"), residentKiB: Run.status("VmRSS"),
        counts: .current)
    }

    private static func entries(of directory: String) -> Int {
      guard let stream = opendir(directory) else { return 0 }
      defer { closedir(stream) }
      var count = 0
      while readdir(stream) != nil { count += 1 }
      return count
    }

    var description: String {
      "\(threads) threads, \(descriptors) descriptors, \(residentKiB) KiB resident, alive: \(counts)"
    }
  }

  /// Throws what has drifted. Memory may not grow by more than 2 % from the first half's end to the second's.
  func run(_ count: Int) async throws -> Run {
    var run = Run()
    // What the process and its pools need once, they need in the first few cycles.
    try await cycles(max(200, options.warmup))
    let baseline = Holdings.now()
    try await cycles(count / 2)
    let half = Holdings.now()
    try await cycles(count - count / 2)
    let end = Holdings.now()
    run.take(cycles: count)
    for (name, holdings) in [("baseline", baseline), ("half", half), ("end", end)] { print("\(name): \(holdings)") }
    guard end.counts == baseline.counts, end.counts.sidecars + end.counts.threads + end.counts.connections == 0 else {
      throw BenchError("something of the library is still alive")
    }
    // The cooperative thread pool starts and ends workers as it pleases, one for each core at most, and each of the
    // library's two work queues may have a thread in reserve: a leak is one a cycle.
    let workers = Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))) + 2
    guard end.threads <= baseline.threads + workers, end.descriptors <= baseline.descriptors else {
      throw BenchError("threads or descriptors have drifted")
    }
    guard Double(end.residentKiB) <= Double(half.residentKiB) * 1.02 else { throw BenchError("memory has drifted") }
    return run
  }

  private func cycles(_ count: Int) async throws {
    for round in 0..<count {
      if round.isMultiple(of: 2) {
        try await withWebSocketSidecar(options.url("/echo")) { sidecar in
          try await sidecar.send("hello")
          guard try await sidecar.receive() == "hello" else { throw BenchError("an echo is not what was sent") }
        }
      } else {
        try blockingCycle()
      }
    }
  }

  private func blockingCycle() throws {
    let socket = try BlockingWebSocket(options.url("/echo"))
    try socket.send("hello")
    guard try socket.receive() == "hello" else { throw BenchError("an echo is not what was sent") }
    guard socket.shutdown().isClean else { throw BenchError("a shutdown was not clean") }
  }
}
