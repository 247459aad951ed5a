internal import Sidecar

/// Formats numbers for people.
enum Formatting {
  /// Formats a whole number with separators: `1,234,567`.
  static func count(_ number: Int) -> String {
    let digits = String(number.magnitude)
    var result = ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index).isMultiple(of: 3) { result.append(",") }
      result.append(digit)
    }
    return number < 0 ? "-\(result)" : result
  }

  /// Formats a number with `places` decimals.
  static func decimal(_ number: Double, places: Int = 1) -> String {
    guard number.isFinite else { return "-" }
    let scale = places == 0 ? 1.0 : (1...places).reduce(1.0) { scale, _ in scale * 10 }
    let scaled = Int((number.magnitude * scale).rounded())
    let whole = count(scaled / Int(scale))
    let sign = number < 0 && scaled > 0 ? "-" : ""
    guard places > 0 else { return sign + whole }
    let fraction = String(scaled % Int(scale))
    return sign + whole + "." + String(repeating: "0", count: places - fraction.count) + fraction
  }

  /// Formats a rate per second: `2.41 M/s`, `31.2 k/s`.
  static func rate(_ count: Int, in time: Duration) -> String {
    let rate = Double(count) / max(time.inSeconds, 1e-9)
    switch rate {
    case 1e6...: return decimal(rate / 1e6, places: 2) + " M/s"
    case 1e3...: return decimal(rate / 1e3) + " k/s"
    default: return decimal(rate) + " /s"
    }
  }

  /// Formats bytes per second: `312 MB/s`.
  static func throughput(_ bytes: Int, in time: Duration) -> String {
    decimal(Double(bytes) / 1e6 / max(time.inSeconds, 1e-9), places: 0) + " MB/s"
  }

  /// Formats an amount of memory: `24.1 MiB`.
  static func memory(_ bytes: Int) -> String {
    decimal(Double(bytes) / Double(1 << 20)) + " MiB"
  }
}

extension LiveCounts {
  /// Whether nothing of the library is alive.
  var isEmpty: Bool { sidecars == 0 && threads == 0 && connections == 0 && tasks == 0 }
}

extension Duration {
  var inSeconds: Double { self / .seconds(1) }
}

/// Measured times, sorted.
struct Latencies: Sendable {
  private var sorted: [Duration]

  init(_ measured: [Duration]) {
    sorted = measured.sorted()
  }

  var count: Int { sorted.count }

  /// Returns the percentile by the nearest-rank method.
  ///
  /// - Parameter share: From 0 to 1.
  func percentile(_ share: Double) -> Duration {
    guard !sorted.isEmpty else { return .zero }
    let rank = Int((share * Double(sorted.count)).rounded(.up))
    return sorted[min(max(rank, 1), sorted.count) - 1]
  }
}
