import Glibc
import Sidecar

/// How a sidecar ends, beside the Python pattern that it comes from: ../Peers/exit-pattern/measure.py has the same
/// peers.
///
///   answers      sends a message every 100 ms, and answers Close
///   silent       sends no message, and would answer Close
///   gone         has opened the connection, and then neither reads nor writes
///   unanswered   has accepted the TCP connection, and never answers the handshake (the exit comes a second later)
struct Exits {
  let options: Options
  /// What `shutdown` is called with by default.
  static let bound = Duration.seconds(5)

  func run() throws -> String {
    // What is only made once is made here: Dispatch's own descriptors and threads.
    _ = try BlockingWebSocket(options.url("/idle")).shutdown()
    var exits: [String] = []
    exits.append("\"answers\":\(try exit("/tick?every=100&size=16", receiving: true))")
    exits.append("\"silent\":\(try exit("/idle"))")
    exits.append("\"gone\":\(try exit("/stall"))")
    exits.append("\"unanswered\":\(try exitUnanswered())")
    return "{\"peer\":\"sidecar\",\"exits\":{\(exits.joined(separator: ","))},\"cycles\":\(try cycles(options.count))}"
  }

  /// Opens one connection and ends it.
  private func exit(_ path: String, receiving: Bool = false) throws -> String {
    let before = Holdings()
    let socket = try BlockingWebSocket(options.url(path))
    if receiving { _ = try socket.receive() }
    return Exits.end(socket, before)
  }

  private func exitUnanswered() throws -> String {
    let before = Holdings()
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(listener) }
    guard listen(listener, 1) == 0 else { throw BenchError("listen") }
    var address = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutableBytes(of: &address) { bytes in
      _ = getsockname(listener, bytes.assumingMemoryBound(to: sockaddr.self).baseAddress!, &length)
    }
    let sidecar = try WebSocketSidecar("ws://127.0.0.1:\(UInt16(bigEndian: address.sin_port))/")
    sleep(1)
    return Exits.end(BlockingWebSocket(sidecar), before, ours: 1)
  }

  /// `ours` is how many descriptors of the measurement itself are still open.
  private static func end(_ socket: BlockingWebSocket, _ before: Holdings, ours: Int = 0) -> String {
    let begin = Run.now()
    let report = socket.shutdown(within: bound)
    let seconds = Double(Run.now() - begin) / 1e9
    let left = Holdings()
    let late: String
    do {
      try socket.send("too late")
      late = "returns"
    } catch {
      late = "throws: \(error)"
    }
    return """
      {"seconds":\(seconds),"clean":\(report.isClean),\
      "left":{"threads":\(left.threads - before.threads),"descriptors":\(left.descriptors - before.descriptors - ours)},\
      "send_after_exit":"\(late)","said":"\(report.summary)"}
      """
  }

  /// Creates, uses and ends again and again, and counts what is left.
  private func cycles(_ count: Int) throws -> String {
    let before = Holdings()
    let begin = Run.now()
    var unclean = 0
    for _ in 0..<count {
      let socket = try BlockingWebSocket(options.url("/tick?every=5&size=16"))
      _ = try socket.receive()
      if !socket.shutdown().isClean { unclean += 1 }
    }
    let seconds = Double(Run.now() - begin) / 1e9
    let left = Holdings()
    // Dispatch keeps a thread that has nothing to do for a few seconds.
    sleep(10)
    let later = Holdings()
    return """
      {"cycles":\(count),"seconds":\(seconds),"not_clean":\(unclean),"left":{"threads":\(left.threads - before.threads),\
      "descriptors":\(left.descriptors - before.descriptors),"resident_kib":\(left.residentKiB - before.residentKiB)},\
      "left_10_s_later":{"threads":\(later.threads - before.threads),\
      "descriptors":\(later.descriptors - before.descriptors)},\
      "live":"\(LiveCounts.current)"}
      """
  }
}

/// What this process holds, a moment later, as ../Peers/exit-pattern/measure.py counts it.
private struct Holdings {
  let threads: Int
  let descriptors: Int
  let residentKiB: Int

  init() {
    usleep(100_000)
    threads = Run.status("Threads")
    residentKiB = Run.status("VmRSS")
    var count = 0
    if let folder = opendir("/proc/self/fd") {
      while readdir(folder) != nil { count += 1 }
      closedir(folder)
    }
    descriptors = count
  }
}
