import Sidecar

/// The command line that all peers have: see ../Peers/README.md.
struct Options: Sendable {
  let workload: String
  private(set) var url = ""
  private(set) var api = "inbound"
  private(set) var kind = MessageKind.binary
  private(set) var size = 16
  private(set) var count = 1000
  private(set) var warmup = 0

  init(arguments: [String]) throws(BenchError) {
    guard let workload = arguments.first else { throw BenchError("no workload; see Benchmarks/Peers/README.md") }
    self.workload = workload
    var rest = arguments.dropFirst()
    while let name = rest.popFirst() {
      guard let value = rest.popFirst() else { throw BenchError("\(name) needs a value") }
      switch name {
      case "--url": url = value
      case "--api": api = value
      case "--kind": kind = try Options.kind(value)
      case "--size": size = try Options.number(name, value)
      case "--count": count = try Options.number(name, value)
      case "--warmup": warmup = try Options.number(name, value)
      default: throw BenchError("unknown option \(name)")
      }
    }
  }

  private static func kind(_ value: String) throws(BenchError) -> MessageKind {
    switch value {
    case "text": .text
    case "binary": .binary
    default: throw BenchError("--kind is text or binary, not \(value)")
    }
  }

  private static func number(_ name: String, _ value: String) throws(BenchError) -> Int {
    guard let number = Int(value), number >= 0 else { throw BenchError("\(name) needs a number, not \(value)") }
    return number
  }

  /// The URL of a path on the server.
  func url(_ path: String) -> String {
    (url.hasSuffix("/") ? String(url.dropLast()) : url) + path
  }

  /// The path on which the server sends `count` messages.
  func hose(_ count: Int) -> String {
    let kind = kind == .text || workload == "deflate" ? "text" : "binary"
    return url("/hose?size=\(size)&count=\(count)&kind=\(kind)\(workload == "deflate" ? "&deflate=1" : "")")
  }

  var configuration: WebSocketConfiguration {
    var configuration = WebSocketConfiguration()
    if workload == "deflate" { configuration.compression = WebSocketCompression() }
    return configuration
  }

  /// What is sent: all bytes are `x` but the last, which is `a`.
  var outgoing: [UInt8] {
    var bytes = [UInt8](repeating: UInt8(ascii: "x"), count: size)
    if size > 0 { bytes[size - 1] = UInt8(ascii: "a") }
    return bytes
  }
}

/// Something that ends a run.
struct BenchError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) {
    self.description = description
  }
}
