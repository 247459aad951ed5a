import Glibc

/// What one timed run found.
struct Run: Sendable {
  private(set) var messages = 0
  private(set) var bytes = 0
  private(set) var checksum: UInt32 = 0
  /// Round trips in nanoseconds.
  private var samples: [UInt64] = []
  let begin = Run.now()
  private var end: UInt64 = 0
  private var memory: (kibEach: Double, threads: Int)?
  /// What else was measured, by the name it has in the line of JSON.
  private var figures: [(name: String, value: Double)] = []

  /// Takes one message of the fire-hose: the rule is in ../Servers/payload.h.
  @inline(__always)
  mutating func receive(count: Int, marker: UInt8) {
    messages &+= 1
    bytes &+= count
    checksum = checksum &* 31 &+ UInt32(marker)
  }

  mutating func stop() { end = Run.now() }

  mutating func take(samples: [UInt64], size: Int) {
    stop()
    self.samples = samples.sorted()
    messages = samples.count
    bytes = samples.count * size
  }

  /// Takes what the sink says that it has received.
  mutating func take(report: String) throws {
    stop()
    let numbers = report.split { !("0"..."9").contains($0) }.compactMap { Int($0) }
    guard numbers.count == 3 else { throw BenchError("the sink's report: \(report)") }
    messages = numbers[0]
    bytes = numbers[1]
    checksum = UInt32(truncatingIfNeeded: numbers[2])
  }

  mutating func take(cycles: Int, shutdowns: [UInt64] = []) {
    stop()
    messages = cycles
    figures = percentiles(of: shutdowns.sorted(), prefix: "shutdown_")
  }

  mutating func take(crowd count: Int, figures: [(name: String, value: Double)]) {
    stop()
    messages = count
    self.figures = figures
  }

  mutating func take(idle count: Int, residentBefore: Int) {
    stop()
    messages = count
    memory = (Double(Run.status("VmRSS") - residentBefore) / Double(count), Run.status("Threads"))
  }

  /// The line that run.py reads.
  func json(_ options: Options) -> String {
    var fields = [
      "\"peer\":\"sidecar\"", "\"api\":\"\(options.api)\"", "\"workload\":\"\(options.workload)\"",
      "\"version\":\"here\"", "\"messages\":\(messages)", "\"bytes\":\(bytes)",
      "\"seconds\":\(Double(end - begin) / 1e9)", "\"checksum\":\(checksum)",
      "\"resident_kib\":\(Run.status("VmRSS"))", "\"threads\":\(Run.status("Threads"))",
    ]
    for (name, value) in figures + percentiles(of: samples) { fields.append("\"\(name)\":\(value)") }
    if let memory {
      fields += ["\"kib_per_connection\":\(memory.kibEach)", "\"threads_open\":\(memory.threads)"]
    }
    return "{\(fields.joined(separator: ","))}"
  }

  /// By nearest rank, in microseconds; of sorted samples, none without any.
  private func percentiles(of samples: [UInt64], prefix: String = "") -> [(name: String, value: Double)] {
    guard !samples.isEmpty else { return [] }
    return [("p50_us", 0.5), ("p99_us", 0.99), ("p999_us", 0.999)].map { name, share in
      let rank = Int((share * Double(samples.count)).rounded(.up))
      return (prefix + name, Double(samples[max(0, rank - 1)]) / 1e3)
    }
  }

  /// The monotonic clock, in nanoseconds.
  static func now() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  /// A number that /proc/self/status gives, such as VmRSS in KiB.
  static func status(_ name: String) -> Int {
    guard let status = fopen("/proc/self/status", "r") else { return 0 }
    defer { fclose(status) }
    var line = [CChar](repeating: 0, count: 256)
    while fgets(&line, Int32(line.count), status) != nil {
      let text = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
      guard text.hasPrefix(name + ":") else { continue }
      return Int(text.dropFirst(name.count + 1).split { !("0"..."9").contains($0) }.first ?? "") ?? 0
    }
    return 0
  }
}
