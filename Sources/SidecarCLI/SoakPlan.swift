internal import Sidecar

/// One cycle of a soak. It is determined by the seed and its number alone.
struct SoakPlan: Sendable, CustomStringConvertible {
  /// How the sidecar is used.
  enum Use: String, CaseIterable, Sendable {
    /// Tasks send, receive, ping and run; then a shutdown.
    case async
    /// The same, from threads.
    case blocking
    /// A handler takes the messages on the sidecar's thread.
    case handler
    /// Several sidecars on one thread.
    case shared = "shared thread"
    /// The last reference is dropped without a shutdown.
    case dropped
  }

  /// When the shutdown is requested.
  enum Moment: Sendable {
    /// At once, while connecting.
    case atOnce
    /// When the connection is open, or could not be opened.
    case whenOpen
    case after(Duration)
    /// After a close, which may not have been answered.
    case afterClose
  }

  let number: Int
  let use: Use
  let fault: SoakFault
  let moment: Moment
  let bound: Duration
  /// Whether a task that ends only by cancellation runs on the sidecar.
  let hasRunningTask: Bool
  /// The sizes of the messages to send.
  let messageSizes: [Int]
  /// The capacity of the queues in bytes.
  let capacity: Int

  init(seed: UInt64, number: Int) {
    var random = SeededGenerator(seed: seed, stream: number)
    func choose<Element>(_ elements: [Element]) -> Element {
      elements[Int.random(in: 0..<elements.count, using: &random)]
    }
    self.number = number
    use = choose(Use.allCases)
    fault = choose(SoakFault.allCases)
    moment =
      switch Int.random(in: 0..<10, using: &random) {
      case 0: .atOnce
      case 1, 2: .whenOpen
      case 3: .afterClose
      default: .after(.microseconds(Int.random(in: 0...40_000, using: &random)))
      }
    bound = choose([.zero, .milliseconds(1), .milliseconds(20), .milliseconds(100), .milliseconds(500), .seconds(5)])
    hasRunningTask = random.chance(percent: 30)
    capacity = choose([1, 4096, 65_536, 1 << 20])
    let largest = choose([0, 125, 65_536])
    let count = Int.random(in: 0...50, using: &random)
    messageSizes = (0..<count).map { _ in Int.random(in: 0...largest, using: &random) }
  }

  var configuration: WebSocketConfiguration {
    var configuration = WebSocketConfiguration()
    configuration.threadName = ProcessStats.threadName
    configuration.inboundCapacity = capacity
    configuration.outboundCapacity = capacity
    configuration.closeTimeout = .milliseconds(200)
    return configuration
  }

  /// The messages to send. Each differs from the ones next to it.
  var messages: [WebSocketMessage] {
    messageSizes.enumerated().map { index, size in
      index.isMultiple(of: 2)
        ? .binary([UInt8](repeating: UInt8(truncatingIfNeeded: index), count: size))
        : .text(String(decoding: [UInt8](repeating: UInt8(33 + index % 90), count: size), as: UTF8.self))
    }
  }

  /// The shutdown's bound, capped for peers that never answer: otherwise the soak would mostly wait.
  var effectiveBound: Duration {
    switch fault {
    case .silent, .stall, .ignoresClose, .fullPort, .ignoresRequest: min(bound, .milliseconds(500))
    default: bound
    }
  }

  var description: String {
    let when =
      switch moment {
      case .atOnce: "at once"
      case .whenOpen: "when open"
      case .after(let time): "after \(time.readable)"
      case .afterClose: "after a close"
      }
    let task = hasRunningTask ? ", a running task" : ""
    return "\(use.rawValue), \(fault.rawValue), \(messageSizes.count) messages, \(capacity) bytes of queue\(task), "
      + (use == .dropped ? "dropped \(when)" : "shut down \(when) within \(effectiveBound.readable)")
  }
}
