import SidecarProtocol
import Testing

@testable import Sidecar

@Suite struct PackedBatchTests {
  /// Stores messages as a sink does: in the batch while there is room, and then in a new one.
  private func batches(of messages: [WebSocketMessage], in arena: inout PayloadArena) -> [PackedBatch] {
    var batches: [PackedBatch] = []
    var batch = PackedBatch()
    for message in messages {
      let bytes = message.bytes
      bytes.withUnsafeBytes { bytes in
        let isASCII = message.kind == .text && bytes.allSatisfy { $0 < 0x80 }
        if arena.store(message.kind, isASCII: isASCII, bytes, in: &batch) { return }
        if !batch.isEmpty { batches.append(batch) }
        batch = arena.startBatch(message.kind, isASCII: isASCII, bytes)
      }
    }
    return batches + [batch]
  }

  private func messages(_ batches: [PackedBatch]) -> [WebSocketMessage] {
    batches.flatMap { batch in
      var (batch, messages) = (batch, [WebSocketMessage]())
      while !batch.isEmpty { messages.append(batch.takeFirst()) }
      return messages
    }
  }

  @Test func `messages of both kinds come out as they went in`() {
    let expected: [WebSocketMessage] = [
      "grüße", [1, 2, 3], "", [], .text(String(repeating: "é", count: 512)), .binary(noise(1024)), "x",
    ]
    var arena = PayloadArena()
    #expect(messages(batches(of: expected, in: &arena)) == expected)
  }

  @Test func `a batch ends with its chunk`() {
    let expected = (0..<100).map { WebSocketMessage.binary(noise(1000, seed: UInt64($0))) }
    var arena = PayloadArena()
    let batches = batches(of: expected, in: &arena)
    #expect(batches.count == 7, "sixteen of them share one")
    #expect(messages(batches) == expected)
  }

  @Test func `what was put where the next message belongs is not copied`() {
    let expected = (0..<40).map { noise(1 + 25 * $0, seed: UInt64($0)) }
    var arena = PayloadArena()
    #expect(arena.nextDestination.isEmpty)
    var batches: [PackedBatch] = []
    var batch = PackedBatch()
    var putCount = 0
    for message in expected {
      let room = arena.nextDestination
      message.withUnsafeBytes { bytes in
        var bytes = bytes
        if bytes.count <= room.count {
          putCount += 1
          room.copyMemory(from: bytes)
          bytes = UnsafeRawBufferPointer(rebasing: room[..<bytes.count])
        }
        if arena.store(.binary, isASCII: false, bytes, in: &batch) { return }
        if !batch.isEmpty { batches.append(batch) }
        batch = arena.startBatch(.binary, isASCII: false, bytes)
      }
    }
    #expect(messages(batches + [batch]) == expected.map { .binary(WebSocketPayload($0)) })
    #expect(putCount == 37, "all but the first of each chunk of 8 KiB")
  }

  @Test func `the first message can be split off for another thread`() {
    var arena = PayloadArena()
    var batch = batches(of: ["first", [2], "third"], in: &arena)[0]
    #expect(batch.firstByteCount == 5)
    var first = batch.splitFirst()
    #expect(first.takeFirst() == "first" && first.isEmpty && first.firstByteCount == 0)
    #expect(messages([batch]) == [[2], "third"])
  }

  @Test func `nothing can be added to an empty batch`() {
    var arena = PayloadArena()
    var batch = PackedBatch()
    #expect(!arena.store(.text, isASCII: true, UnsafeRawBufferPointer(start: nil, count: 0), in: &batch))
    #expect(batch.isEmpty && batch.firstByteCount == 0)
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

/// Bytes that look random and are always the same.
func noise(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
  var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
  return (0..<count).map { _ in
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return UInt8(truncatingIfNeeded: state >> 24)
  }
}
