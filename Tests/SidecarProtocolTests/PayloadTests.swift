import Glibc
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

@Suite struct PayloadArenaTests {
  private func store(_ bytes: [UInt8], in arena: inout PayloadArena) -> WebSocketPayload {
    bytes.withUnsafeBytes { arena.store($0) }
  }

  private func address(_ payload: WebSocketPayload) -> UInt? {
    payload.withUnsafeBytes { $0.baseAddress.map { UInt(bitPattern: $0) } }
  }

  @Test func `small payloads lie one behind the other`() throws {
    var arena = PayloadArena()
    let first = store(noise(16), in: &arena)
    let second = store(noise(16, seed: 2), in: &arena)
    #expect(try #require(address(second)) == #require(address(first)) + 16)
    #expect(Array(first) == noise(16) && Array(second) == noise(16, seed: 2))
  }

  @Test func `payloads of every size survive the arena`() {
    var expected: [[UInt8]] = []
    var payloads: [WebSocketPayload] = []
    do {
      var arena = PayloadArena()
      for size in Array(0...200) + [1000, 1023, 1024, 1025, 5000, 8192, 8193, 10] {
        expected.append(noise(size, seed: UInt64(size)))
        payloads.append(store(noise(size, seed: UInt64(size)), in: &arena))
      }
    }
    #expect(payloads.map { Array($0) } == expected)
  }

  @Test func `a large payload does not share a chunk`() throws {
    var arena = PayloadArena()
    let first = store(noise(10), in: &arena)
    _ = store(noise(1025), in: &arena)
    let second = store(noise(10), in: &arena)
    #expect(try #require(address(second)) == #require(address(first)) + 10)
  }

  @Test func `an empty payload takes nothing`() throws {
    var arena = PayloadArena()
    #expect(store([], in: &arena).isEmpty)
    let first = store(noise(10), in: &arena)
    #expect(store([], in: &arena).isEmpty)
    #expect(arena.store(UnsafeRawBufferPointer(start: nil, count: 0)).isEmpty)
    #expect(try #require(address(store(noise(1), in: &arena))) == #require(address(first)) + 10)
  }
}

@Suite struct MessageRunTests {
  /// Stores messages as a sink does: in the run as long as there is room, and in a new one then.
  private func runs(of messages: [WebSocketMessage], in arena: inout PayloadArena) -> [PackedBatch] {
    var runs: [PackedBatch] = []
    var run = PackedBatch()
    for message in messages {
      let bytes = message.bytes
      bytes.withUnsafeBytes { bytes in
        let isASCII = message.kind == .text && bytes.allSatisfy { $0 < 0x80 }
        if arena.store(message.kind, isASCII: isASCII, bytes, in: &run) { return }
        if !run.isEmpty { runs.append(run) }
        run = arena.startRun(message.kind, isASCII: isASCII, bytes)
      }
    }
    return runs + [run]
  }

  private func messages(_ runs: [PackedBatch]) -> [WebSocketMessage] {
    runs.flatMap { run in
      var (run, messages) = (run, [WebSocketMessage]())
      while !run.isEmpty { messages.append(run.takeFirst()) }
      return messages
    }
  }

  @Test func `messages of both kinds come out as they went in`() {
    let expected: [WebSocketMessage] = [
      "grüße", [1, 2, 3], "", [], .text(String(repeating: "é", count: 512)), .binary(noise(1024)), "x",
    ]
    var arena = PayloadArena()
    #expect(messages(runs(of: expected, in: &arena)) == expected)
  }

  @Test func `a run ends with its chunk`() {
    let expected = (0..<100).map { WebSocketMessage.binary(noise(1000, seed: UInt64($0))) }
    var arena = PayloadArena()
    let runs = runs(of: expected, in: &arena)
    #expect(runs.count == 7, "sixteen of them share one")
    #expect(messages(runs) == expected)
  }

  @Test func `what was put into the free room is stored there`() {
    let expected = (0..<40).map { noise(1 + 25 * $0, seed: UInt64($0)) }
    var arena = PayloadArena()
    #expect(arena.inflateDestination.isEmpty)
    var runs: [PackedBatch] = []
    var run = PackedBatch()
    var putCount = 0
    for message in expected {
      let room = arena.inflateDestination
      message.withUnsafeBytes { bytes in
        var bytes = bytes
        if bytes.count <= room.count {
          putCount += 1
          room.copyMemory(from: bytes)
          bytes = UnsafeRawBufferPointer(rebasing: room[..<bytes.count])
        }
        if arena.store(.binary, isASCII: false, bytes, in: &run) { return }
        if !run.isEmpty { runs.append(run) }
        run = arena.startRun(.binary, isASCII: false, bytes)
      }
    }
    #expect(messages(runs + [run]) == expected.map { .binary(WebSocketPayload($0)) })
    #expect(putCount == 37, "all but the first of each chunk of 8 KiB")
  }

  @Test func `a run can begin behind a payload of the same chunk`() {
    var arena = PayloadArena()
    let payload = noise(100).withUnsafeBytes { arena.store($0) }
    var run = runs(of: ["a", "b"], in: &arena)[0]
    #expect(run.takeFirst() == "a" && run.takeFirst() == "b")
    #expect(Array(payload) == noise(100))
  }

  @Test func `the first message can be split off for another thread`() {
    var arena = PayloadArena()
    var run = runs(of: ["first", [2], "third"], in: &arena)[0]
    #expect(run.byteCountOfFirst == 5)
    var first = run.splitFirst()
    #expect(first.takeFirst() == "first" && first.isEmpty && first.byteCountOfFirst == 0)
    #expect(messages([run]) == [[2], "third"])
  }

  @Test func `a run tells where its first message lies, and whether there is another one behind it`() {
    var arena = PayloadArena()
    var run = runs(of: ["first", [2]], in: &arena)[0]
    let first = run.memoryOfFirst
    #expect(first.suffix(5).elementsEqual("first".utf8) && !run.hasOne)
    #expect(run.takeFirst() == "first")
    let second = run.memoryOfFirst
    #expect(second.last == 2 && run.hasOne)
    #expect(second.baseAddress == first.baseAddress.map { $0 + first.count })
  }

  @Test func `nothing can be added to a run without messages`() {
    var arena = PayloadArena()
    var run = PackedBatch()
    #expect(!arena.store(.text, isASCII: true, UnsafeRawBufferPointer(start: nil, count: 0), in: &run))
    #expect(run.isEmpty && run.byteCountOfFirst == 0)
  }
}

@Suite struct SharedReadTests {
  /// Memory as `malloc` returns it, which belongs to the payloads in it if there are any when `body` returns.
  private func withMemory(
    reading count: Int, _ body: (inout ReadBufferSlices, UnsafeMutableRawBufferPointer) throws -> Void
  ) rethrows {
    let memory = UnsafeMutableRawBufferPointer(start: malloc(64 * 1024), count: 64 * 1024)
    for (index, byte) in noise(count).enumerated() { memory[index] = byte }
    var read = ReadBufferSlices(of: count, into: memory)
    defer { if !read.isShared { free(memory.baseAddress) } }
    try body(&read, memory)
  }

  private func part(_ memory: UnsafeMutableRawBufferPointer, _ range: Range<Int>) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(UnsafeMutableRawBufferPointer(rebasing: memory[range]))
  }

  @Test func `large messages of a read become payloads where they lie, and outlive it`() throws {
    var payloads: [WebSocketPayload] = []
    try withMemory(reading: 65_536) { read, memory in
      for range in [4..<16_388, 16_392..<24_584, 57_344..<65_536] {
        let shared = read.share(part(memory, range))
        let payload = try #require(shared)
        #expect(payload.withUnsafeBytes { $0.baseAddress } == part(memory, range).baseAddress)
        payloads.append(payload)
      }
      let (isShared, unshared) = (read.isShared, read.unsharedByteCount)
      #expect(isShared && unshared == 65_536 - 32_768)
    }
    let bytes = noise(65_536)
    let expected = [bytes[4..<16_388], bytes[16_392..<24_584], bytes[57_344...]]
    #expect(payloads.map { Array($0) } == expected.map { Array($0) })
  }

  @Test func `what is small is not shared, and neither is a read that brought little`() {
    withMemory(reading: 65_536) { read, memory in
      let small = read.share(part(memory, 0..<8191))
      let (isShared, unshared) = (read.isShared, read.unsharedByteCount)
      #expect(small == nil && !isShared && unshared == 0)
    }
    withMemory(reading: 32_767) { read, memory in
      let payload = read.share(part(memory, 0..<16_384))
      #expect(payload == nil)
    }
  }

  @Test func `what lies elsewhere is not shared`() {
    withMemory(reading: 65_536) { read, _ in
      let other = noise(20_000).withUnsafeBytes { read.share($0) }
      #expect(other == nil)
    }
    var nothing = ReadBufferSlices()
    let payload = noise(20_000).withUnsafeBytes { nothing.share($0) }
    #expect(payload == nil)
  }
}

extension WebSocketMessage {
  fileprivate var bytes: [UInt8] {
    switch self {
    case .text(let text): Array(text.utf8)
    case .binary(let payload): Array(payload)
    }
  }
}
