// Sidecar's own rows of the benchmark: a user of the public API, with the peers' command line and line of JSON.
//
//   hose, deflate    --api handler | inbound | messages | blocking
//   send             --api inbound (asynchronous sends) | blocking
//   echo             --api handler (on the sidecar's thread) | inbound (from a task of the pool)
//   echo-blocking    --api blocking
//   cycles, idle     --api own-thread | shared-thread
//   crowd            one busy connection among --count idle ones, on one thread
//   census           that --count cycles leave nothing behind; only here
//   exits            not a row of the benchmark: how it ends, beside Peers/exit-pattern/measure.py

import Dispatch
import Glibc
import Sidecar

@main
enum Main {
  /// Not async: what runs here is a plain thread, and no task inherits the main actor.
  static func main() {
    do {
      let options = try Options(arguments: Array(CommandLine.arguments.dropFirst()))
      switch (options.workload, options.api) {
      case ("hose", "blocking"), ("deflate", "blocking"): try timed(options, Hose(options: options).blocking)
      case ("hose", _), ("deflate", _): inTask { try await timed(options, Hose(options: options).run) }
      case ("send", "blocking"): try timed(options, Exchange(options: options).blockingSend)
      case ("send", "inbound"): inTask { try await timed(options, Exchange(options: options).send) }
      case ("echo", "handler"): inTask { print(try await Exchange(options: options).echoInHandler().json(options)) }
      case ("echo", "inbound"): inTask { print(try await Exchange(options: options).echo().json(options)) }
      case ("echo-blocking", "blocking"): print(try Exchange(options: options).blockingEcho().json(options))
      case ("cycles", "own-thread"), ("cycles", "shared-thread"):
        try timed(options, Connections(options: options).cycles)
      case ("exits", _): print(try Exits(options: options).run())
      case ("idle", "own-thread"), ("idle", "shared-thread"):
        inTask { print(try await Connections(options: options).idle().json(options)) }
      case ("crowd", "shared-thread"): inTask { print(try await Connections(options: options).crowd().json(options)) }
      case ("census", _): inTask { print(try await Census(options: options).run(options.count).json(options)) }
      default: throw BenchError("there is no workload \(options.workload) with the API \(options.api)")
      }
    } catch {
      fail(error)
    }
  }

  /// Runs once to warm up, on a connection of its own, and once for the figures.
  private static func timed(_ options: Options, _ run: (Int) throws -> Run) throws {
    if options.warmup > 0 { _ = try run(options.warmup) }
    print(try run(options.count).json(options))
  }

  @concurrent
  private static func timed(_ options: Options, _ run: @Sendable (Int) async throws -> Run) async throws {
    if options.warmup > 0 { _ = try await run(options.warmup) }
    print(try await run(options.count).json(options))
  }

  /// Runs `body` in a task of the cooperative thread pool while this thread waits.
  private static func inTask(_ body: @escaping @Sendable () async throws -> Void) {
    let finished = DispatchSemaphore(value: 0)
    Task.detached {
      do {
        try await body()
      } catch {
        fail(error)
      }
      finished.signal()
    }
    finished.wait()
  }

  private static func fail(_ error: any Error) -> Never {
    let line = Array("sidecar-bench: \(error)\n".utf8)
    _ = write(STDERR_FILENO, line, line.count)
    exit(1)
  }
}
