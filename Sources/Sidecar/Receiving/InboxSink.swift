internal import SidecarProtocol

/// Collects the messages of one read turn, so that they enter the inbox together.
struct InboxSink: MessageSink, ~Copyable {
  private var arena = PayloadArena()
  private var messages = MessageQueue()
  /// Small messages that are not in the queue yet, because more may join them.
  private var batch = PackedBatch()
  private var batchCount = 0
  /// The memory of the read in progress.
  private var slices = ReadBufferSlices()
  /// What the inbox charges for the messages.
  private(set) var cost = 0

  init() {}

  /// How many messages have been collected.
  var count: Int { messages.count + batchCount }

  var inflateDestination: UnsafeMutableRawBufferPointer { arena.nextDestination }

  mutating func receiveMessage(_ kind: MessageKind, _ bytes: UnsafeRawBufferPointer) {
    receive(kind, isASCII: false, bytes)
  }

  mutating func receiveASCII(_ bytes: UnsafeRawBufferPointer) {
    receive(.text, isASCII: true, bytes)
  }

  @inline(__always)
  private mutating func receive(_ kind: MessageKind, isASCII: Bool, _ bytes: UnsafeRawBufferPointer) {
    cost += bytes.count + Inbox.overheadPerMessage
    if bytes.count <= MessageReceiver.smallMessageSize {
      if !arena.store(kind, isASCII: isASCII, bytes, in: &batch) { startBatch(kind, isASCII: isASCII, bytes) }
      batchCount &+= 1
    } else {
      receiveLongMessage(kind, bytes)
    }
  }

  mutating func receiveMessage(_ kind: MessageKind, assembled payload: WebSocketPayload) {
    cost += payload.count + Inbox.overheadPerMessage
    endBatch()
    switch kind {
    case .text: messages.append(.text(payload))
    case .binary: messages.append(.ready(.binary(payload)))
    }
  }

  private mutating func receiveLongMessage(_ kind: MessageKind, _ bytes: UnsafeRawBufferPointer) {
    endBatch()
    let shared = slices.share(bytes)
    switch kind {
    case .text: messages.append(shared.map { .text($0) } ?? .ready(.text(String(validUTF8: bytes))))
    case .binary:
      let payload: WebSocketPayload = shared ?? WebSocketPayload(copying: bytes)
      messages.append(.ready(.binary(payload)))
    }
  }

  // MARK: The read in progress

  /// Begins a read whose `count` bytes are at the start of `memory`.
  mutating func beginRead(of count: Int, in memory: UnsafeMutableRawBufferPointer) {
    slices = ReadBufferSlices(of: count, in: memory)
  }

  /// Keeps the memory of a read whose input is consumed later, until ``endRead()``.
  mutating func suspendRead() {
    slices.adoptMemory()
  }

  /// Ends the read.
  ///
  /// - Returns: True if its memory is no longer the caller's.
  mutating func endRead() -> Bool {
    // Charged for the whole buffer: a message may keep much more memory alive than its own bytes.
    cost += slices.unsharedByteCount
    let isShared = slices.isShared
    slices = ReadBufferSlices()
    return isShared
  }

  // MARK: Delivery

  private mutating func startBatch(_ kind: MessageKind, isASCII: Bool, _ bytes: UnsafeRawBufferPointer) {
    endBatch()
    batch = arena.startBatch(kind, isASCII: isASCII, bytes)
  }

  private mutating func endBatch() {
    guard batchCount > 0 else { return }
    messages.append(batch, count: batchCount)
    batch = PackedBatch()
    batchCount = 0
  }

  /// Hands the messages over to `inbox`.
  ///
  /// - Returns: True if the inbox is full: reading has to pause.
  mutating func deliver(to inbox: Inbox) -> Bool {
    endBatch()
    defer { cost = 0 }
    return inbox.deliver(&messages, cost: cost)
  }
}
