internal import Sidecar

/// Writes the demo's results to stdout.
struct DemoReport: Sendable {
  private static let margin = "  "

  let progress: ProgressLine

  func title(_ url: String) {
    line(styled("Sidecar", .bold) + " against a server in this process, \(url)")
    line(styled("messages of \(DemoFeed.messageSize) bytes, each of them checked", .dim))
  }

  func show(_ result: DemoMeasurement.Result, _ name: String, _ what: String) {
    let streamed = Formatting.count(result.streamed).aligned(to: 12)
    let trips = Formatting.count(result.roundTrips.count).aligned(to: 12)
    line("")
    line(styled(name, .bold) + "  " + styled(what, .dim))
    line(
      Self.margin + "stream     \(streamed) messages in \(result.streamTime.readable.aligned(to: 9))   "
        + styled(Formatting.rate(result.streamed, in: result.streamTime).aligned(to: 9), .accent)
        + "  " + Formatting.throughput(result.streamed * DemoFeed.messageSize, in: result.streamTime).aligned(to: 8))
    line(
      Self.margin + "round trips\(trips) in \(result.roundTripTime.readable.aligned(to: 18))   p50 "
        + styled(result.roundTrips.percentile(0.5).readable, .accent)
        + "   p99 " + styled(result.roundTrips.percentile(0.99).readable, .accent))
  }

  func show(_ reports: [(name: String, report: ShutdownReport)], _ counts: LiveCounts) {
    for (name, report) in reports {
      line("")
      for (index, text) in "\(report)".split(separator: "\n").enumerated() {
        line(index == 0 ? styled("\(name) ", .bold) + text : String(text))
      }
    }
    line("")
    line("still alive: \(counts)")
  }

  func verdict(isClean: Bool) {
    line(isClean ? styled("everything is as it should be", .good) : styled("something is wrong", .bad))
  }

  func interrupted(_ counts: LiveCounts) {
    line("interrupted; still alive: \(counts)")
  }

  private func line(_ text: String) {
    progress.clear()
    Terminal.output.write(text + "\n")
  }

  private func styled(_ text: String, _ style: Terminal.Style) -> String {
    Terminal.output.styled(text, style)
  }
}
