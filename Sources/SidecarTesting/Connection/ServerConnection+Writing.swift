internal import SidecarExecutor
internal import SidecarTransport
internal import SidecarProtocol

/// Writing to the socket.
extension ServerConnection {
  var wantsToWrite: Bool {
    (!unsent.isEmpty || isRepeating) && mayWrite && groups.pacing.isEmpty
  }

  private var mayWrite: Bool { groups.corkDepth == 0 && groups.stallDepth == 0 && writeSide != .ended }

  /// True while repeated frames are sent, which a running script suspends.
  private var isRepeating: Bool { repeatedFrame != nil && script.isOver }

  // MARK: Queueing

  /// Queues bytes as they are. Does nothing once the write side is ending.
  func enqueue(_ bytes: [UInt8]) {
    guard writeSide == .open else { return }
    completePartialFrame()
    bytes.withUnsafeBytes { unsent.append($0) }
  }

  /// Queues a frame. Does nothing once the write side is ending.
  func enqueue(_ opcode: Opcode, _ payload: UnsafeRawBufferPointer) {
    guard writeSide == .open else { return }
    completePartialFrame()
    // RFC 6455 §5.1: a server does not mask.
    FrameWriter.append(opcode, payload: payload, maskKey: nil, to: &unsent)
  }

  /// Queues a message, compressed if that is agreed on.
  ///
  /// - Parameter fragmentSize: The most payload bytes of a fragment; nil for one frame.
  func enqueue(_ message: WebSocketMessage, fragmentSize: Int? = nil) {
    if compressor.isActive || fragmentSize != nil {
      let frame = compressor.frame(of: message)
      for fragment in frame.fragments(size: fragmentSize ?? max(1, frame.payload.count)) { enqueue(fragment.bytes) }
      return
    }
    switch message {
    case .text(let text):
      var text = text
      text.withUTF8 { enqueue(.text, UnsafeRawBufferPointer($0)) }
    case .binary(let payload):
      payload.withUnsafeBytes { enqueue(.binary, $0) }
    }
  }

  /// Queues the rest of a repeated frame that is partly written, so that another frame can follow.
  func completePartialFrame() {
    guard let rest = repeatedFrame?.takeRestOfFrame(), !rest.isEmpty else { return }
    rest.withUnsafeBytes { unsent.append($0) }
  }

  /// Stops repeating after the frame that is being written.
  func stopRepeating() {
    completePartialFrame()
    repeatedFrame = nil
  }

  /// Sends FIN after everything that is queued.
  func endWriteSide() {
    if writeSide == .open { writeSide = .ending }
  }

  // MARK: Writing

  /// Writes what is queued, as far as the kernel takes it.
  func flush() {
    guard mayWrite else { return }
    if let pacing = groups.pacing.last { return flushPiece(pacing) }
    var budget = ServerConnection.bytesWrittenPerTurn
    while budget > 0 {
      var written = 0
      if !unsent.isEmpty {
        written = write(unsent.bytes)
        unsent.consume(written)
      } else if isRepeating {
        // The compressor has not seen the repeated frames.
        compressor.invalidateContext()
        repeatedFrame?.withNextBytes { bytes in
          written = write(bytes)
          return written
        }
        if repeatedFrame?.isOver == true { repeatedFrame = nil }
      }
      if hasEnded { return }
      guard written > 0 else { break }
      budget -= written
    }
    // The poller reports a writable socket only when much of its buffer is free, so go on without it.
    if budget <= 0 { scheduleTurn() }
    if unsent.isEmpty { unsent.removeAll(keepingCapacityUpTo: ServerConnection.highWatermark) }
    shutdownWriteIfDue()
  }

  /// Writes one piece of a dribbled output; a timer writes the next one.
  private func flushPiece(_ pacing: OpenGroups.Pacing) {
    guard pacingTimer == nil else { return }
    guard !unsent.isEmpty else { return shutdownWriteIfDue() }
    let count = write(UnsafeRawBufferPointer(rebasing: unsent.bytes.prefix(pacing.chunk)))
    if hasEnded { return }
    unsent.consume(count)
    pacingTimer = loop.schedule(at: .after(pacing.interval)) { [weak self] in
      self?.pacingTimer = nil
      self?.pump()
    }
  }

  private func shutdownWriteIfDue() {
    guard writeSide == .ending, unsent.isEmpty else { return }
    writeSide = .ended
    socket.shutdownWrite()
    if readSide == .ended, isFinishing { end(.endOfStream) }
  }

  /// Hands bytes to the kernel.
  ///
  /// - Returns: How many it took.
  private func write(_ bytes: UnsafeRawBufferPointer) -> Int {
    switch socket.write(bytes) {
    case .bytes(let count):
      progress.isBlocked = count < bytes.count
      progress.bytesSent += count
      return count
    case .wouldBlock, .endOfStream, .truncated:
      progress.isBlocked = true
    case .failed:
      end(.reset)
    }
    return 0
  }
}
