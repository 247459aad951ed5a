import Testing
import SidecarProtocol

@Suite struct ByteBufferTests {
  @Test func `bytes come out in the order in which they went in`() {
    var buffer = ByteBuffer()
    var expected: [UInt8] = []
    for round in 1...200 {
      let added = noise(round * 7 % 400, seed: UInt64(round))
      added.withUnsafeBytes { buffer.append($0) }
      expected += added
      let removed = min(expected.count, round * 5 % 300)
      buffer.consume(removed)
      expected.removeFirst(removed)
      #expect(Array(buffer.bytes) == expected)
      #expect(buffer.count == expected.count)
    }
  }

  @Test func `an empty buffer has no memory, and one that was asked for capacity has it`() {
    let empty = ByteBuffer()
    #expect(empty.isEmpty && empty.capacity == 0 && empty.bytes.isEmpty)
    var reserved = ByteBuffer(minimumCapacity: 1000)
    #expect(reserved.capacity == 1000)
    let before = reserved.reserve(1000)
    #expect(reserved.reserve(1) == before)
  }

  @Test func `appending nothing allocates nothing`() {
    var buffer = ByteBuffer()
    buffer.append(UnsafeRawBufferPointer(start: nil, count: 0))
    #expect(buffer.capacity == 0)
  }

  @Test func `a closure fills as much of the room as it says`() {
    var buffer = ByteBuffer()
    buffer.append(room: 10) { room in
      room.copyBytes(from: utf8("hello"))
      return 5
    }
    #expect(buffer.withUnsafeBytes { Array($0) } == utf8("hello"))
  }

  @Test func `a closure that throws appends nothing`() {
    struct Failure: Error {}
    var buffer = ByteBuffer()
    var failed = false
    do {
      try buffer.append(room: 10) { _ in throw Failure() }
    } catch {
      failed = true
    }
    #expect(failed && buffer.isEmpty)
  }

  @Test func `consuming everything makes the whole capacity free again`() {
    var buffer = ByteBuffer(minimumCapacity: 256)
    noise(200).withUnsafeBytes { buffer.append($0) }
    buffer.consume(200)
    noise(256).withUnsafeBytes { buffer.append($0) }
    #expect(buffer.capacity == 256)
  }

  @Test func `what was consumed at the front is room at the end`() {
    var buffer = ByteBuffer(minimumCapacity: 256)
    noise(200).withUnsafeBytes { buffer.append($0) }
    buffer.consume(150)
    noise(150, seed: 2).withUnsafeBytes { buffer.append($0) }
    #expect(buffer.capacity == 256)
    #expect(Array(buffer.bytes) == Array(noise(200)[150...]) + noise(150, seed: 2))
  }

  @Test func `growing moves what is left and doubles`() {
    var buffer = ByteBuffer(minimumCapacity: 256)
    noise(200).withUnsafeBytes { buffer.append($0) }
    buffer.consume(10)
    noise(300, seed: 2).withUnsafeBytes { buffer.append($0) }
    #expect(buffer.capacity == 512)
    #expect(Array(buffer.bytes) == Array(noise(200)[10...]) + noise(300, seed: 2))
  }

  @Test func `removing everything keeps capacity up to a bound`() {
    var buffer = ByteBuffer(minimumCapacity: 1000)
    buffer.removeAll(keepingCapacityUpTo: 1000)
    #expect(buffer.capacity == 1000)
    buffer.removeAll(keepingCapacityUpTo: 999)
    #expect(buffer.capacity == 0)
    utf8("again").withUnsafeBytes { buffer.append($0) }
    #expect(Array(buffer.bytes) == utf8("again"))
  }

  @Test func `two buffers swap`() {
    var one = ByteBuffer()
    var other = ByteBuffer()
    utf8("one").withUnsafeBytes { one.append($0) }
    swap(&one, &other)
    #expect(one.isEmpty && Array(other.bytes) == utf8("one"))
  }
}
