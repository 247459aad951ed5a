import Testing
import SidecarProtocol

@testable import Sidecar

@Suite struct `The queue of messages` {
  /// A batch of small messages, as the sink makes them.
  func batch(_ texts: [String]) -> PackedBatch {
    var arena = PayloadArena()
    var batch = PackedBatch()
    for text in texts {
      Array(text.utf8).withUnsafeBytes { bytes in
        if !arena.store(.text, isASCII: true, bytes, in: &batch) {
          batch = arena.startBatch(.text, isASCII: true, bytes)
        }
      }
    }
    return batch
  }

  func queue(_ parts: [[String]]) -> MessageQueue {
    var queue = MessageQueue()
    for part in parts {
      if part.count == 1 {
        queue.append(.ready(.text(part[0])))
      } else {
        queue.append(batch(part), count: part.count)
      }
    }
    return queue
  }

  func drain(_ queue: inout MessageQueue) -> [WebSocketMessage] {
    var messages: [WebSocketMessage] = []
    while let message = queue.popMessage() { messages.append(message) }
    return messages
  }

  // Read into constants first: what `#expect` looks at has to be copyable.

  @Test func `batches and single messages come out in their order`() {
    var queue = queue([["a"], ["b", "c", "d"], ["e", "f"], ["g"]])
    let count = queue.count
    let messages = drain(&queue)
    let isEmpty = queue.isEmpty
    #expect(count == 7 && isEmpty)
    #expect(messages == ["a", "b", "c", "d", "e", "f", "g"])
  }

  @Test func `messages for other threads and for this one are taken from the same batch`() {
    var queue = queue([["a", "b", "c"], ["d"], ["e", "f"]])
    let first = [queue.popFirst()?.message, queue.popMessage()]
    let size = queue.popFirst()?.byteCount
    let single = queue.popFirst()?.message
    let count = queue.count
    let rest = drain(&queue)
    let hasMore = queue.popFirst() != nil
    #expect(first == ["a", "b"] && size == 1 && single == "d")
    #expect(count == 2 && rest == ["e", "f"] && !hasMore)
  }

  @Test(arguments: 0...7, 0...3)
  func `a queue moves to the end of another one, however much has been taken from both`(taken: Int, takenBefore: Int) {
    var front = queue([["1", "2", "3"]])
    var back = queue([["a", "b", "c"], ["d"], ["e", "f", "g"]])
    for _ in 0..<takenBefore { _ = front.popMessage() }
    for _ in 0..<taken { _ = back.popFirst() }
    front.append(movingFrom: &back)
    let expected = ["1", "2", "3"].dropFirst(takenBefore) + ["a", "b", "c", "d", "e", "f", "g"].dropFirst(taken)
    let (count, isEmpty, left) = (front.count, back.isEmpty, back.popMessage())
    let messages = drain(&front)
    #expect(count == expected.count && isEmpty && left == nil)
    #expect(messages == expected.map { .text($0) })
    back.append(.ready("again"))
    let again = drain(&back)
    #expect(again == ["again"])
  }
}
