import Testing
import WebSocketProtocol

/// A programmer's error stops the program, instead of going on with something else.
@Suite struct MisuseTests {
  @Test func `a close code that does not exist stops the program`() async {
    await #expect(processExitsWith: .failure) { _ = CloseCode(integerLiteral: 999) }
  }

  @Test func `an index outside a payload stops the program`() async {
    await #expect(processExitsWith: .failure) { _ = WebSocketPayload([1, 2, 3])[3] }
    await #expect(processExitsWith: .failure) { _ = WebSocketPayload()[0] }
  }

  @Test func `consuming more than there is stops the program`() async {
    await #expect(processExitsWith: .failure) {
      var buffer = ByteBuffer()
      buffer.consume(1)
    }
  }

  @Test func `window bits that do not exist stop the program`() async {
    await #expect(processExitsWith: .failure) { _ = PermessageDeflate.Offer(clientMaxWindowBits: 7) }
    await #expect(processExitsWith: .failure) { _ = PermessageDeflate.Offer(serverMaxWindowBits: 16) }
  }

  @Test func `bytes read directly where nobody asked for them stop the program`() async {
    await #expect(processExitsWith: .failure) {
      var receiver = MessageReceiver(role: .client)
      var recorder = Recorder()
      receiver.didReadDirectly(count: 1, into: &recorder)
    }
  }
}
