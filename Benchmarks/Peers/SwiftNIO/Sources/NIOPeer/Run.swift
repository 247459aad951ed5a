import Glibc

/// The command line that all peers have: see Peers/README.md.
struct Options: Sendable {
  var workload = ""
  var port = 0
  var api = "handler"
  var kind = "binary"
  var size = 16
  var count = 1000
  var warmup = 0

  /// Whether messages are used as strings.
  var isText: Bool { kind == "text" }

  init(arguments: [String]) {
    workload = arguments.first ?? ""
    for index in stride(from: 1, to: arguments.count - 1, by: 2) {
      let value = arguments[index + 1]
      switch arguments[index] {
      case "--url": port = Int(value.split(separator: ":").last ?? "") ?? 0
      case "--api": api = value
      case "--kind": kind = value
      case "--size": size = Int(value) ?? size
      case "--count": count = Int(value) ?? count
      case "--warmup": warmup = Int(value) ?? warmup
      default: break
      }
    }
  }
}

struct PeerError: Error, CustomStringConvertible {
  var description: String
  init(_ description: String) { self.description = description }
}

/// The monotonic clock, in nanoseconds.
func now() -> UInt64 {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// A number that /proc/self/status gives, such as VmRSS in KiB.
func statusNumber(_ name: String) -> Int {
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

/// What one timed run found.
struct Run: Sendable {
  var messages = 0
  var bytes = 0
  var checksum: UInt32 = 0
  var begin = now()
  var end: UInt64 = 0
  var samples: [UInt64] = []
  var kibPerConnection: Double?
  var threadsOpen = 0

  mutating func take(size: Int, last: UInt8) {
    messages += 1
    bytes += size
    checksum = checksum &* 31 &+ UInt32(last)
  }

  mutating func stop() { end = now() }

  /// Takes the counts from the sink's report, `{"messages":…,"bytes":…,"checksum":…}`.
  mutating func take(report: String) throws {
    stop()
    let numbers = report.split { !("0"..."9").contains($0) }.compactMap { Int($0) }
    guard numbers.count == 3 else { throw PeerError("the sink's report: \(report)") }
    messages = numbers[0]
    bytes = numbers[1]
    checksum = UInt32(truncatingIfNeeded: numbers[2])
  }

  mutating func take(samples: [UInt64], size: Int) {
    stop()
    self.samples = samples.sorted()
    messages = samples.count
    bytes = samples.count * size
  }

  private func percentile(_ share: Double) -> Double {
    let rank = Int((share * Double(samples.count)).rounded(.up))
    return Double(samples[max(0, rank - 1)]) / 1e3
  }

  func json(_ options: Options) -> String {
    var fields = [
      #""peer":"SwiftNIO","api":"\#(options.api)","workload":"\#(options.workload)","version":"2.101""#,
      #""messages":\#(messages),"bytes":\#(bytes),"seconds":\#(Double(end - begin) / 1e9)"#,
      #""resident_kib":\#(statusNumber("VmRSS")),"threads":\#(statusNumber("Threads"))"#,
    ]
    if checksum != 0 { fields.append(#""checksum":\#(checksum)"#) }
    if !samples.isEmpty {
      fields.append(
        #""p50_us":\#(percentile(0.5)),"p99_us":\#(percentile(0.99)),"p999_us":\#(percentile(0.999))"#)
    }
    if let kibPerConnection {
      fields.append(#""kib_per_connection":\#(kibPerConnection),"threads_open":\#(threadsOpen)"#)
    }
    return "{\(fields.joined(separator: ","))}"
  }
}
