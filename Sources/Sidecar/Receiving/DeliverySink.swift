internal import Synchronization
internal import SidecarProtocol

/// What came beside messages.
struct ControlEvents {
  /// The latest Ping: a Pong may answer it for all before it (RFC 6455 §5.5.3).
  var ping: WebSocketPayload?
  var pongs: [WebSocketPayload] = []
  /// The peer's Close frame.
  var close: (code: CloseCode?, reason: String)?
  var violation: ProtocolViolation?

  var isEmpty: Bool { ping == nil && pongs.isEmpty && close == nil && violation == nil }
}

/// A sink that collects control events, and takes only messages in its own way.
protocol DeliverySink: ReceiveSink, ~Copyable {
  var control: ControlEvents { get set }
}

extension DeliverySink where Self: ~Copyable {
  mutating func receivePing(_ bytes: UnsafeRawBufferPointer) {
    control.ping = WebSocketPayload(copying: bytes)
  }

  mutating func receivePong(_ bytes: UnsafeRawBufferPointer) {
    control.pongs.append(WebSocketPayload(copying: bytes))
  }

  mutating func receiveClose(_ code: CloseCode?, reason: String) {
    control.close = (code, reason)
  }

  mutating func receiveViolation(_ violation: ProtocolViolation) {
    control.violation = violation
  }
}

/// Collects the messages of one turn, so that they go into the inbox together.
struct InboxSink: DeliverySink, ~Copyable {
  private var arena = PayloadArena()
  private var messages = MessageQueue()
  /// Short messages that do not stand in the queue yet, because more may join them.
  private var run = PackedBatch()
  private var runCount = 0
  /// Where the bytes of the current read are.
  private var read = ReadBufferSlices()
  /// What the messages are charged in the inbox.
  private(set) var cost = 0
  var control = ControlEvents()

  init() {}

  /// How many messages there are.
  var count: Int { messages.count + runCount }

  /// Whether something came beside messages.
  var hasControl: Bool { !control.isEmpty }

  /// Takes what came beside messages, and leaves nothing.
  ///
  /// Here, and not where it is used: of a property that can't be copied, the compiler (6.3, without optimisation) reads a part
  /// from a copy that it has freed by then.
  mutating func takeControl() -> ControlEvents? {
    if control.isEmpty { return nil }
    defer { control = ControlEvents() }
    return control
  }

  var inflateDestination: UnsafeMutableRawBufferPointer { arena.inflateDestination }

  mutating func receiveMessage(_ kind: MessageKind, _ bytes: UnsafeRawBufferPointer) {
    receive(kind, isASCII: false, bytes)
  }

  mutating func receiveASCII(_ bytes: UnsafeRawBufferPointer) {
    receive(.text, isASCII: true, bytes)
  }

  @inline(__always)
  private mutating func receive(_ kind: MessageKind, isASCII: Bool, _ bytes: UnsafeRawBufferPointer) {
    cost += bytes.count + Inbox.overheadPerMessage
    if bytes.count <= PayloadArena.maximumSharedPayload {
      if !arena.store(kind, isASCII: isASCII, bytes, in: &run) { startRun(kind, isASCII: isASCII, bytes) }
      runCount &+= 1
    } else {
      receiveLongMessage(kind, bytes)
    }
  }

  mutating func receiveMessage(_ kind: MessageKind, assembled payload: WebSocketPayload) {
    cost += payload.count + Inbox.overheadPerMessage
    endRun()
    switch kind {
    case .text: messages.append(.text(payload))
    case .binary: messages.append(.ready(.binary(payload)))
    }
  }

  private mutating func receiveLongMessage(_ kind: MessageKind, _ bytes: UnsafeRawBufferPointer) {
    endRun()
    let shared = read.share(bytes)
    switch kind {
    case .text: messages.append(shared.map { .text($0) } ?? .ready(.text(String(validUTF8: bytes))))
    case .binary:
      let payload: WebSocketPayload = shared ?? WebSocketPayload(copying: bytes)
      messages.append(.ready(.binary(payload)))
    }
  }

  /// Takes note that the next `count` bytes lie at the start of `memory`.
  mutating func beginRead(of count: Int, into memory: UnsafeMutableRawBufferPointer) {
    read = ReadBufferSlices(of: count, into: memory)
  }

  /// Ends the read; returns whether its memory belongs to messages now.
  mutating func endRead() -> Bool {
    // Charged for the whole of it, whoever may have sent a message that keeps so much more than itself.
    cost += read.unsharedByteCount
    let isShared = read.isShared
    read = ReadBufferSlices()
    return isShared
  }

  private mutating func startRun(_ kind: MessageKind, isASCII: Bool, _ bytes: UnsafeRawBufferPointer) {
    endRun()
    run = arena.startRun(kind, isASCII: isASCII, bytes)
  }

  private mutating func endRun() {
    guard runCount > 0 else { return }
    messages.append(run, count: runCount)
    run = PackedBatch()
    runCount = 0
  }

  /// Hands the messages over to `inbox`; returns whether reading has to pause.
  mutating func deliver(to inbox: Inbox) -> Bool {
    endRun()
    defer { cost = 0 }
    return inbox.deliver(&messages, cost: cost)
  }
}

/// Hands each message to the application where it lies in the read buffer.
struct HandlerSink: DeliverySink, ~Copyable {
  let sidecar: WebSocketSidecar
  let handler: MessageHandler
  let gate: AtomicFlag
  var control = ControlEvents()

  init(sidecar: WebSocketSidecar, handler: @escaping MessageHandler, gate: AtomicFlag) {
    self.sidecar = sidecar
    self.handler = handler
    self.gate = gate
  }

  mutating func receiveMessage(_ kind: MessageKind, _ bytes: UnsafeRawBufferPointer) {
    guard gate.isOpen else { return }
    handler(sidecar, kind, bytes.bytes)
  }

  mutating func receiveMessage(_ kind: MessageKind, assembled payload: WebSocketPayload) {
    payload.withUnsafeBytes { receiveMessage(kind, $0) }
  }
}

/// Whether the message handler may still be called: not after a shutdown was requested, not even within one read.
final class AtomicFlag: Sendable {
  private let state = Atomic(true)

  var isOpen: Bool { state.load(ordering: .relaxed) }

  func close() { state.store(false, ordering: .relaxed) }
}
