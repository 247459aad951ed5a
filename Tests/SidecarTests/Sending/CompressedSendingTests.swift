@testable import Sidecar
import SidecarExecutor
import SidecarProtocol
import SidecarTestSupport
import SidecarTesting
import Testing

/// Several senders of compressed messages, whose order the window of the compression fixes.
@Suite(.census) struct CompressedSendingTests {
  /// Runs each job on the thread that has it: a continuation that is resumed under a lock would run under it.
  private final class InlineExecutor: TaskExecutor {
    func enqueue(_ job: consuming ExecutorJob) {
      UnownedJob(job).runSynchronously(on: asUnownedTaskExecutor())
    }
  }

  @Test func `senders that are resumed inline never wait for each other`() async throws {
    let (senders, count) = (4, 200)
    var options = TestServer.Options()
    options.compression = TestServer.Compression()
    options.receiveBufferSize = 4096
    let gate = TestServer.Gate()
    let slowly: TestServer.Step = .repeat(times: 50, [.stopReading, .wait(.milliseconds(2)), .resumeReading])
    let server = try TestServer(
      behavior: .script([.open, .stopReading, .waitFor(gate), .resumeReading, slowly]), options: options)
    var configuration = WebSocketConfiguration()
    configuration.compression = WebSocketCompression()
    configuration.outboundCapacity = 16 << 10
    let client = try await WebSocketSidecar.connect(to: server.url, configuration: configuration)
    let all = Promise<Void>()
    let tally = Tally()
    let executor = InlineExecutor()
    for sender in 0..<senders {
      // Each begins on a thread of its own.
      Task {
        try await onThread {
          Task(executorPreference: executor) {
            var generator = SystemRandomNumberGenerator()
            for _ in 0..<count {
              // Does not shrink: more than the kernels' buffers hold is on its way.
              let noise = (0..<2048).map { _ in generator.next() }.withUnsafeBytes { Array($0) }
              try await client.send([UInt8(sender)] + noise)
            }
            if tally.add() == senders { all.complete(()) }
          }
        }
      }
    }
    #expect(await eventually { () async in client.sendQueueHasWaiters })
    gate.open()
    if case .value = await all.value(until: .after(patience)) {} else { Issue.record("deadlock") }
    let connection = try await server.connection()
    let messages = try await connection.messages(count: senders * count)
    for sender in 0..<senders {
      let own = messages.filter { if case .binary(let bytes) = $0 { bytes.first == UInt8(sender) } else { false } }
      #expect(own.count == count)
    }
    #expect(connection.violation == nil)
    #expect(await client.shutdown().isClean)
    #expect(await server.stop())
  }
}
