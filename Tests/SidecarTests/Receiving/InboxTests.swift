import Glibc
import SidecarExecutor
import SidecarTesting
import Synchronization
import SidecarTestSupport
import Testing
import SidecarProtocol

@testable import Sidecar

@Suite struct `The inbox` {
  func texts(_ range: Range<Int>) -> [WebSocketMessage] { range.map { .text("\($0)") } }

  func deliver(_ messages: [WebSocketMessage], to inbox: Inbox) -> Bool {
    var queue = MessageQueue()
    var cost = 0
    for message in messages {
      cost += Inbox.cost(of: .ready(message))
      queue.append(.ready(message))
    }
    return inbox.deliver(&queue, cost: cost)
  }

  @Test func `messages come out in the order they went in, across batches`() async {
    let inbox = Inbox(capacity: 1 << 20)
    _ = deliver(texts(0..<3), to: inbox)
    guard case .message(.text("0"))? = inbox.next() else { return somethingElseCame() }
    _ = deliver(texts(3..<5), to: inbox)
    for expected in 1..<5 {
      guard case .message(.text(let text)) = await inbox.next(until: .never) else { return somethingElseCame() }
      #expect(text == "\(expected)")
    }
    #expect(inbox.next() == nil)
  }

  @Test func `the end comes after the messages, and at once when they are discarded`() {
    let kept = Inbox(capacity: 1 << 20)
    _ = deliver(texts(0..<1), to: kept)
    kept.finish(nil)
    guard case .message? = kept.next(), case .ended(nil)? = kept.next() else { return somethingElseCame() }

    let discarded = Inbox(capacity: 1 << 20)
    _ = deliver(texts(0..<2), to: discarded)
    _ = discarded.next()
    discarded.discardAll()
    #expect(discarded.next() == nil)
    discarded.finish(nil)
    guard case .ended(nil)? = discarded.next() else { return somethingElseCame() }
  }

  @Test func `the first end counts`() {
    let inbox = Inbox(capacity: 1 << 20)
    inbox.finish(.connectionLost(nil))
    inbox.finish(nil)
    guard case .ended(.connectionLost(nil)?)? = inbox.next() else { return somethingElseCame() }
  }

  @Test func `messages that go straight to a waiting receiver do not pause reading`() async {
    let inbox = Inbox(capacity: 1000)
    for size in [600, 600, 5000] {
      // Immediate: it is waiting when this line is through.
      let receiving = Task.immediate { await inbox.next(until: .after(patience)) }
      #expect(!deliver([.binary(Array(repeating: 0, count: size))], to: inbox))
      guard case .message(let message) = await receiving.value else { return somethingElseCame() }
      #expect(message.byteCount == size)
    }
  }

  @Test func `reading is paused at the capacity and resumed by the receiver that takes the messages`() {
    let inbox = Inbox(capacity: 1000)
    let resumed = Atomic(0)
    inbox.onDrain { resumed.wrappingAdd(1, ordering: .relaxed) }
    #expect(!deliver([.binary(Array(repeating: 0, count: 900))], to: inbox))
    #expect(deliver([.binary(Array(repeating: 0, count: 100))], to: inbox))
    #expect(resumed.load(ordering: .relaxed) == 0)
    _ = inbox.next()
    #expect(resumed.load(ordering: .relaxed) == 1)
    _ = inbox.next()
    #expect(resumed.load(ordering: .relaxed) == 1)
  }

  @Test func `messages that go straight to a waiting receiver do not fill the inbox`() async {
    let inbox = Inbox(capacity: 1000)
    for _ in 0..<100 {
      let receiving = Task { await inbox.next(until: .after(patience)) }
      while !inbox.hasWaiters { await Task.yield() }
      #expect(!deliver([.binary(Array(repeating: 0, count: 100))], to: inbox))
      guard case .message = await receiving.value else { return somethingElseCame() }
    }
  }

  @Test func `what a message was charged beyond its size does not fill the inbox once it is handed over`() async {
    let inbox = Inbox(capacity: 1000)
    for _ in 0..<3 {
      let receiving = Task.immediate { await inbox.next(until: .after(patience)) }
      var queue = MessageQueue()
      queue.append(.ready("shares memory with others"))
      #expect(!inbox.deliver(&queue, cost: 900))
      guard case .message = await receiving.value else { return somethingElseCame() }
    }
  }

  @Test func `messages that keep the memory of a read are charged for all of it`() throws {
    let memory = UnsafeMutableRawBufferPointer(start: malloc(65_536), count: 65_536)
    memory.initializeMemory(as: UInt8.self, repeating: 7)
    var sink = InboxSink()
    sink.beginRead(of: 65_536, in: memory)
    for range in [0..<9000, 10_000..<19_000] {
      sink.receiveMessage(.binary, UnsafeRawBufferPointer(UnsafeMutableRawBufferPointer(rebasing: memory[range])))
    }
    let belongsToMessages = sink.endRead()
    let (cost, count) = (sink.cost, sink.count)
    #expect(belongsToMessages && count == 2)
    #expect(cost == 65_536 + 2 * Inbox.overheadPerMessage)
    let inbox = Inbox(capacity: 60_000)
    let mustPause = sink.deliver(to: inbox)
    #expect(mustPause)
    guard case .message(.binary(let first))? = inbox.next() else { return somethingElseCame() }
    #expect(first.count == 9000 && first.allSatisfy { $0 == 7 })
  }

  @Test func `empty messages count too`() {
    let inbox = Inbox(capacity: 10 * Inbox.overheadPerMessage)
    #expect(!deliver(Array(repeating: .text(""), count: 9), to: inbox))
    #expect(deliver([.text("")], to: inbox))
  }

  @Test func `a cancelled receiver takes no message with it`() async {
    let inbox = Inbox(capacity: 1 << 20)
    for round in 0..<200 {
      let waiting = Task { await inbox.next(until: .never) }
      if round.isMultiple(of: 2) { await Task.yield() }
      async let delivered: Void = { _ = deliver(texts(round..<round + 1), to: inbox) }()
      waiting.cancel()
      await delivered
      switch await waiting.value {
      case .message(.text(let text)): #expect(text == "\(round)")
      case .cancelled:
        guard case .message(.text(let text)) = await inbox.next(until: .after(patience)) else {
          return somethingElseCame()
        }
        #expect(text == "\(round)")
      default: somethingElseCame()
      }
    }
  }

  @Test func `a task that was cancelled before it waits does not wait`() async {
    let inbox = Inbox(capacity: 1 << 20)
    let waiting = Task {
      withUnsafeCurrentTask { $0?.cancel() }
      return await inbox.next(until: .never)
    }
    guard case .cancelled = await waiting.value else { return somethingElseCame() }
    #expect(!inbox.hasWaiters)
  }

  @Test func `a cancelled task gets what came together, and leaves what came later`() async {
    let inbox = Inbox(capacity: 1 << 20)
    _ = deliver(texts(0..<3), to: inbox)
    _ = inbox.next()
    _ = deliver(texts(3..<5), to: inbox)
    let iterating = Task {
      withUnsafeCurrentTask { $0?.cancel() }
      var received: [WebSocketMessage] = []
      while case .message(let message) = await inbox.next(until: .never) { received.append(message) }
      return received
    }
    #expect(await iterating.value == texts(1..<3))
    guard case .message(.text("3"))? = inbox.next() else { return somethingElseCame() }
  }

  @Test func `a cancelled task gets the last messages`() async {
    let inbox = Inbox(capacity: 1 << 20)
    _ = deliver(texts(0..<2), to: inbox)
    inbox.finish(nil)
    let iterating = Task {
      withUnsafeCurrentTask { $0?.cancel() }
      var received: [WebSocketMessage] = []
      while true {
        switch await inbox.next(until: .never) {
        case .message(let message): received.append(message)
        case let other: return (received, other)
        }
      }
    }
    guard case (texts(0..<2), .ended(nil)) = await iterating.value else { return somethingElseCame() }
  }

  @Test func `no wait is missed by a deadline that comes while it begins`() async {
    let inbox = Inbox(capacity: 1 << 20)
    for round in 0..<5000 {
      guard case .timedOut = await inbox.next(until: .after(.microseconds(round % 50))) else {
        return somethingElseCame()
      }
    }
    #expect(!inbox.hasWaiters)
  }

  @Test(arguments: [false, true])
  func `receivers whose deadline comes in the middle of a delivery take no message with them`(blocking: Bool)
    async throws
  {
    for _ in 0..<20 {
      let inbox = Inbox(capacity: 1 << 20)
      let count = 60
      // Handed over one after the other, which takes a while: the deadline is in the middle of it.
      let deadline = Deadline.after(.milliseconds(20))
      let received = try await withThrowingTaskGroup(of: Bool.self) { group in
        for _ in 0..<count {
          group.addTask {
            let reception =
              blocking ? try await onThread { inbox.waitForNext(until: deadline) } : await inbox.next(until: deadline)
            if case .message = reception { return true }
            return false
          }
        }
        group.addTask {
          try await onThread {
            while let remaining = deadline.remaining, remaining > .microseconds(100) {}
            _ = deliver(texts(0..<count), to: inbox)
            return false
          }
        }
        return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
      }
      #expect(received + inbox.unreadCount == count)
    }
  }

  @Test func `a receiver that gives up at its deadline takes no message with it`() throws {
    let inbox = Inbox(capacity: 1 << 20)
    guard case .timedOut = inbox.waitForNext(until: .after(.milliseconds(5))) else { return somethingElseCame() }
    _ = deliver(texts(0..<1), to: inbox)
    guard case .message? = inbox.next() else { return somethingElseCame() }
  }

  @Test func `every message goes to exactly one of many receivers`() async {
    let inbox = Inbox(capacity: 1 << 30)
    let total = 20_000
    let sums = await withTaskGroup(of: [Int].self) { group in
      for _ in 0..<4 {
        group.addTask {
          var mine: [Int] = []
          while case .message(.text(let text)) = await inbox.next(until: .never) { mine.append(Int(text)!) }
          return mine
        }
      }
      for start in stride(from: 0, to: total, by: 50) {
        _ = deliver(texts(start..<start + 50), to: inbox)
        if start.isMultiple(of: 1000) { await Task.yield() }
      }
      inbox.finish(nil)
      return await group.reduce(into: [[Int]]()) { $0.append($1) }
    }
    for mine in sums { #expect(mine == mine.sorted(), "a receiver sees its messages in order") }
    #expect(sums.joined().sorted() == Array(0..<total))
  }
}
