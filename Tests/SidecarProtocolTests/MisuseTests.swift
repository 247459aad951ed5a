import Glibc
import Testing

@testable import SidecarProtocol

/// A programmer's error stops the program. So does memory that cannot be had.
@Suite struct MisuseTests {
  @Test func `a close code that does not exist stops the program`() async {
    await #expect(processExitsWith: .failure) {
      exitWhenTrapped()
      _ = CloseCode(integerLiteral: 999)
    }
  }

  @Test func `an index outside a payload stops the program`() async {
    await #expect(processExitsWith: .failure) {
      exitWhenTrapped()
      _ = WebSocketPayload([1, 2, 3])[3]
    }
    await #expect(processExitsWith: .failure) {
      exitWhenTrapped()
      _ = WebSocketPayload()[0]
    }
  }

  @Test func `a payload of more than 4 GiB stops the program`() async {
    await #expect(processExitsWith: .failure) {
      exitWhenTrapped()
      // Nothing reads them.
      let bytes = UnsafeMutableRawPointer.allocate(byteCount: 1, alignment: 1)
      _ = WebSocketPayload(copying: UnsafeRawBufferPointer(start: bytes, count: 1 << 32))
    }
  }

  @Test func `consuming or removing more than there is stops the program`() async {
    await #expect(processExitsWith: .failure) {
      exitWhenTrapped()
      var buffer = ByteBuffer()
      buffer.consume(1)
    }
    await #expect(processExitsWith: .failure) {
      exitWhenTrapped()
      var buffer = ByteBuffer()
      buffer.removeLast(1)
    }
  }

  @Test func `writing more than there is room for stops the program`() async {
    await #expect(processExitsWith: .failure) {
      exitWhenTrapped()
      var buffer = ByteBuffer()
      buffer.append(room: 1) { _ in 2 }
    }
    await #expect(processExitsWith: .failure) {
      exitWhenTrapped()
      var buffer = ByteBuffer()
      _ = buffer.reserve(-1)
    }
  }

  @Test func `window bits and levels that do not exist stop the program`() async {
    await #expect(processExitsWith: .failure) {
      exitWhenTrapped()
      _ = PermessageDeflate.Offer(clientMaxWindowBits: 7)
    }
    await #expect(processExitsWith: .failure) {
      exitWhenTrapped()
      _ = PermessageDeflate.Offer(serverMaxWindowBits: 16)
    }
    await #expect(processExitsWith: .failure) {
      exitWhenTrapped()
      _ = Deflater(.init(), role: .client, level: 0)
    }
  }

  @Test func `bytes read directly where nobody asked for them stop the program`() async {
    await #expect(processExitsWith: .failure) {
      exitWhenTrapped()
      var receiver = MessageReceiver(role: .client)
      var recorder = Recorder()
      _ = receiver.didReadDirectly(count: 1, into: &recorder)
    }
  }

  @Test func `memory that cannot be had stops the program`() async {
    await #expect(processExitsWith: .failure) {
      exitWhenTrapped()
      _ = ByteBuffer(minimumCapacity: .max)
    }
    await #expect(processExitsWith: .failure) {
      exitWhenTrapped()
      var buffer = ByteBuffer()
      _ = buffer.reserve(.max)
    }
  }
}

/// Makes a trap end the process by `exit`, where it is wanted to write down what was covered.
private func exitWhenTrapped() {
  guard getenv("LLVM_PROFILE_FILE") != nil else { return }
  for trap in [SIGILL, SIGTRAP] {
    signal(trap) { _ in exit(EXIT_FAILURE) }
  }
}
