// SwiftNIO's NIOWebSocket.
//
//   hose, send, echo, echo-blocking, cycles, idle   --api handler (a ChannelHandler on the event loop)
//                                                   --api async (NIOAsyncChannel, from tasks of Swift's thread pool)

import Dispatch
import Glibc
import NIOCore
import NIOPosix
import NIOWebSocket

@main
enum Peer {
  /// Not async: what runs here is a plain thread, and no task inherits the main actor.
  static func main() {
    let options = Options(arguments: Array(CommandLine.arguments.dropFirst()))
    let client = Client(options: options)
    let finished = DispatchSemaphore(value: 0)
    if options.workload == "echo-blocking" {
      runBlockingCaller(client)
      return
    }
    Task.detached {
      do {
        let isAsync = options.api == "async"
        if options.warmup > 0, options.workload != "echo", options.workload != "idle" {
          _ = isAsync ? try await client.asyncRun(options.warmup) : try await client.handlerRun(options.warmup)
        }
        print(
          (isAsync ? try await client.asyncRun(options.count) : try await client.handlerRun(options.count))
            .json(options))
      } catch {
        fail(error)
      }
      finished.signal()
    }
    finished.wait()
  }

  private static func runBlockingCaller(_ client: Client) {
    let options = client.options
    let answered = DispatchSemaphore(value: 0)
    let (calls, callsIn) = AsyncStream.makeStream(of: Void.self)
    let roundTrip: () -> Void
    if options.api == "async" {
      Task.detached {
        do { try await client.serveBlockingCaller(calls, answered: answered) } catch { fail(error) }
      }
      answered.wait()
      roundTrip = {
        callsIn.yield()
        answered.wait()
      }
    } else {
      let opened = DispatchSemaphore(value: 0)
      nonisolated(unsafe) var channel: (any Channel)?  // written before the signal, read after the wait
      Task.detached {
        do { channel = try await client.openForBlockingCaller(answered: answered) } catch { fail(error) }
        opened.signal()
      }
      opened.wait()
      let payload = options.payload
      roundTrip = {
        channel?.writeAndFlush(WebSocketFrame.message(.binary, payload), promise: nil)
        answered.wait()
      }
    }
    for _ in 0..<options.warmup { roundTrip() }
    var samples: [UInt64] = []
    samples.reserveCapacity(options.count)
    var run = Run()
    for _ in 0..<options.count {
      let start = now()
      roundTrip()
      samples.append(now() - start)
    }
    run.take(samples: samples, size: options.size)
    print(run.json(options))
  }

  private static func fail(_ error: any Error) -> Never {
    let message = Array("SwiftNIO: \(error)\n".utf8)
    _ = write(STDERR_FILENO, message, message.count)
    exit(1)
  }
}
