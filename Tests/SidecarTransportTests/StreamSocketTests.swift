import Foundation
import Glibc
import SidecarExecutor
import SidecarTestSupport
import Testing

@testable import SidecarTransport

@Suite("StreamSocket", .census) struct StreamSocketTests {
  @Test func `a descriptor that was given back is neither closed nor shut down again`() async {
    // In a process of its own, so that nobody else opens descriptors: the number goes to the next pair.
    await #expect(processExitsWith: .success) {
      guard let (socket, peer) = try? connectedPair() else { _exit(1) }
      socket.close()
      guard let (next, nextPeer) = try? connectedPair() else { _exit(2) }
      guard next.descriptor == socket.descriptor else { _exit(3) }
      socket.abort()
      socket.close()
      let result = [UInt8](repeating: 1, count: 3).withUnsafeBytes { next.write($0) }
      guard result == .bytes(3) else { _exit(4) }
      for socket in [peer, next, nextPeer] { socket.close() }
      _exit(0)
    }
  }

  @Test func `aborting on one thread while another closes never reaches a stranger`() async {
    // In a process of its own, so that nobody else opens descriptors.
    await #expect(processExitsWith: .success) {
      // More threads than cores: some are always stopped half way, and go on when the number is another's.
      let current = Locked<StreamSocket?>(nil)
      let turns = (0..<4).map { _ in Tally() }
      for turn in turns {
        Thread.detachNewThread {
          while true {
            current.withLock { $0 }?.abort()
            turn.add()
          }
        }
      }
      func waitForEveryThread() {
        let before = turns.map(\.count)
        while zip(turns, before).contains(where: { $0.count < $1 + 2 }) { sched_yield() }
      }
      for _ in 0..<25 {
        guard let (socket, peer) = try? connectedPair() else { _exit(1) }
        current.withLock { $0 = socket }
        waitForEveryThread()
        socket.close()
        guard let (stranger, strangerPeer) = try? connectedPair() else { _exit(2) }
        guard stranger.descriptor == socket.descriptor else { _exit(3) }
        waitForEveryThread()
        let result = [UInt8](repeating: 1, count: 1).withUnsafeBytes { stranger.write($0) }
        guard result == .bytes(1) else { _exit(4) }
        for socket in [peer, stranger, strangerPeer] { socket.close() }
      }
      _exit(0)
    }
  }

  @Test func `reads and writes say what became of them`() throws {
    let (socket, peer) = try connectedPair()
    defer { socket.close() }
    var buffer = [UInt8](repeating: 0, count: 16)
    func read() -> IOResult { buffer.withUnsafeMutableBytes { socket.read(into: $0) } }
    #expect(read() == .wouldBlock)
    #expect([1, 2, 3].withUnsafeBytes { peer.write($0) } == .bytes(24))
    #expect(read() == .bytes(16))
    #expect(read() == .bytes(8))
    let large = [UInt8](repeating: 7, count: 1 << 20)
    var last = IOResult.bytes(0)
    while case .bytes = last { last = large.withUnsafeBytes { socket.write($0) } }
    #expect(last == .wouldBlock)
    peer.shutdownWrite()
    #expect(read() == .endOfStream)
    peer.close()
    // The peer had not read everything, so it sent a reset; whether that is reported depends on which end is seen first.
    // Another test may be starting a process, which has a copy of the peer's descriptor until it runs its program.
    var afterClose = IOResult.wouldBlock
    _ = eventually {
      afterClose = large.withUnsafeBytes { socket.write($0) }
      return afterClose != .wouldBlock
    }
    #expect([EPIPE, ECONNRESET].map { .failed(SystemError("send", code: $0)) }.contains(afterClose))
  }

  @Test func `a stream that was aborted reads and writes nothing more`() throws {
    let (socket, peer) = try connectedPair()
    defer { socket.close() }
    socket.abort()
    var buffer = [UInt8](repeating: 0, count: 1)
    #expect(buffer.withUnsafeMutableBytes { socket.read(into: $0) } == .endOfStream)
    #expect(buffer.withUnsafeBytes { socket.write($0) } == .failed(SystemError("send", code: EPIPE)))
    #expect(buffer.withUnsafeMutableBytes { peer.read(into: $0) } == .endOfStream)
    peer.close()
  }

  @Test func `writing to a peer that is gone raises no signal`() async {
    await #expect(processExitsWith: .success) {
      signal(SIGPIPE, SIG_DFL)
      guard let (socket, peer) = try? connectedPair() else { exit(2) }
      peer.close()
      let result = [UInt8](repeating: 1, count: 1).withUnsafeBytes { socket.write($0) }
      exit(result == .failed(SystemError("send", code: EPIPE)) ? 0 : 3)
    }
  }

  @Test func `a reset on close is what the peer reads`() async throws {
    let listener = try ListeningSocket.listening()
    let stream = try await ConnectHarness(listener.endpoint).result().get()
    let peer = try listener.acceptNext()
    defer { peer.close() }
    stream.resetOnClose()
    stream.close()
    var buffer = [UInt8](repeating: 0, count: 1)
    var result = IOResult.wouldBlock
    #expect(
      await eventually { () async in
        result = buffer.withUnsafeMutableBytes { peer.read(into: $0) }
        return result != .wouldBlock
      })
    #expect(result == .failed(SystemError("recv", code: ECONNRESET)))
  }

  @Test func `the last reference closes the descriptor`() throws {
    let peer: StreamSocket
    do { (_, peer) = try connectedPair() }
    var buffer = [UInt8](repeating: 0, count: 1)
    #expect(buffer.withUnsafeMutableBytes { peer.read(into: $0) } == .endOfStream)
    peer.close()
  }
}
