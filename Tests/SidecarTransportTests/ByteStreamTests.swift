import SidecarExecutor
import SidecarTestSupport
import Testing

@testable import SidecarTransport

/// The rules of the byte stream that a plain one keeps.
@Suite("ByteStream", .census) struct ByteStreamTests {
  @Test func `a plain stream polls for what its user wants`() throws {
    let (socket, peer) = try connectedPair()
    defer { peer.close() }
    let stream = ByteStream.plain(socket)
    #expect(stream.interest(reading: true, writing: false) == [.readable])
    #expect(stream.interest(reading: false, writing: true) == [.writable])
    #expect(stream.interest(reading: true, writing: true) == [.readable, .writable])
    #expect(stream.interest(reading: false, writing: false) == [])
    #expect(stream.descriptor == socket.descriptor)
    stream.close()
  }

  @Test func `a plain stream hides no input from the poller, and any thread may write`() throws {
    let (socket, peer) = try connectedPair()
    let (stream, other) = (ByteStream.plain(socket), ByteStream.plain(peer))
    #expect(stream.mayWriteInline)
    #expect([UInt8](repeating: 1, count: 10).withUnsafeBytes { stream.writeInline($0) } == .bytes(10))
    #expect([UInt8](repeating: 1, count: 10).withUnsafeBytes { stream.write($0) } == .bytes(10))
    var buffer = [UInt8](repeating: 0, count: 5)
    #expect(buffer.withUnsafeMutableBytes { other.read(into: $0) } == .bytes(5))
    #expect(!other.hasBufferedInput)
    stream.close()
    other.close()
  }

  @Test func `the peer reads what was written and then the end`() throws {
    let (socket, peer) = try connectedPair()
    let (stream, other) = (ByteStream.plain(socket), ByteStream.plain(peer))
    #expect([UInt8](repeating: 9, count: 3).withUnsafeBytes { stream.write($0) } == .bytes(3))
    stream.shutdownWrite()
    var buffer = [UInt8](repeating: 0, count: 5)
    #expect(buffer.withUnsafeMutableBytes { other.read(into: $0) } == .bytes(3))
    #expect(buffer.withUnsafeMutableBytes { other.read(into: $0) } == .endOfStream)
    // The other half goes on.
    #expect([UInt8](repeating: 9, count: 3).withUnsafeBytes { other.write($0) } == .bytes(3))
    stream.close()
    other.close()
  }

  @Test func `both ends of a connection know each other's address`() async throws {
    let listener = try ListeningSocket.listening(at: .loopback(.ipv6, port: 0))
    let stream = try await ConnectHarness(listener.endpoint).result().get()
    let peer = ByteStream.plain(try listener.acceptNext())
    #expect(stream.remoteAddress == listener.address)
    #expect(peer.localAddress == listener.address)
    #expect(stream.localAddress == peer.remoteAddress)
    #expect(stream.localAddress != nil)
    stream.close()
    peer.close()
  }
}
