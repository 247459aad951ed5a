import Testing
import SidecarProtocol

@Suite struct PayloadTests {
  @Test(arguments: [0, 1, 16, 1024, 70_000])
  func `a payload is the bytes that it was made of`(_ size: Int) {
    let bytes = noise(size)
    let payload = WebSocketPayload(bytes)
    #expect(payload.count == size && payload.isEmpty == (size == 0))
    #expect(Array(payload) == bytes)
    #expect(payload.elementsEqual(bytes))
    #expect(payload.withUnsafeBytes { Array($0) } == bytes)
    #expect(payload.withBytes { $0.byteCount } == size)
    #expect(payload.withContiguousStorageIfAvailable { Array($0) } == bytes)
    #expect(payload.reversed() == bytes.reversed())
    #expect(WebSocketPayload(AnySequence(bytes)) == payload)
    #expect(WebSocketPayload(payload) == payload)
    #expect(WebSocketPayload(bytes.span.bytes) == payload)
    #expect(Array(payload.dropFirst(3)) == Array(bytes.dropFirst(3)))
  }

  @Test func `payloads are equal when their bytes are`() {
    let one: WebSocketPayload = [1, 2, 3]
    #expect(one == [1, 2, 3])
    #expect(one != [1, 2, 4])
    #expect(one != [1, 2])
    #expect([] == WebSocketPayload())
    #expect(one.hashValue == WebSocketPayload([1, 2, 3]).hashValue)
    #expect(Set([one, [1, 2, 3], []]).count == 2)
  }

  @Test func `a payload describes itself by its first bytes`() {
    #expect(WebSocketPayload().description == "0 bytes")
    #expect(WebSocketPayload([7]).description == "1 byte: 07")
    #expect(WebSocketPayload([0xCA, 0xFE]).debugDescription == "WebSocketPayload(2 bytes: ca fe)")
    #expect(WebSocketPayload([UInt8](repeating: 0, count: 17)).description.hasSuffix("00 00 …"))
  }

  @Test func `a payload is two words`() {
    #expect(MemoryLayout<WebSocketPayload>.size == 16)
  }

  @Test func `a message knows its kind and size and how it is written in source`() {
    let text: WebSocketMessage = "grüße \(1)"
    let bytes: WebSocketMessage = [1, 2]
    #expect(text == .text("grüße 1") && text.kind == .text && text.byteCount == 9 && "\(text)" == "grüße 1")
    #expect(bytes == .binary([1, 2] as [UInt8]) && bytes.kind == .binary && bytes.byteCount == 2)
    #expect("\(bytes)" == "2 bytes: 01 02")
  }
}
