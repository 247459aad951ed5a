internal import SidecarExecutor
internal import SidecarTransport
internal import SidecarProtocol

/// Writing to the socket.
extension ServerConnection {
  var wantsToWrite: Bool {
    (!unsent.isEmpty || isStreaming) && mayWrite && pacing.isEmpty
  }

  private var mayWrite: Bool { corkDepth == 0 && stalls == 0 && !hasEndedWriting }

  /// Whether frames of a stream are sent: not while a script decides what is.
  private var isStreaming: Bool { stream != nil && !scriptIsRunning }

  /// Appends bytes to what is to be sent; behind the end of our half of the stream they have no place.
  func write(_ bytes: [UInt8]) {
    guard !hasEndedWriting, !mustEndWriting else { return }
    finishFrameOfStream()
    bytes.withUnsafeBytes { unsent.append($0) }
  }

  func write(_ opcode: Opcode, _ payload: UnsafeRawBufferPointer) {
    guard !hasEndedWriting, !mustEndWriting else { return }
    finishFrameOfStream()
    // RFC 6455 §5.1: a server masks nothing.
    FrameWriter.append(opcode, payload: payload, maskKey: nil, to: &unsent)
  }

  func write(_ message: WebSocketMessage, fragmentSize: Int? = nil) {
    if agreement != nil || fragmentSize != nil {
      let frame = compressedIfAgreed(message)
      for fragment in frame.fragments(size: fragmentSize ?? max(1, frame.payload.count)) { write(fragment.bytes) }
      return
    }
    switch message {
    case .text(let text):
      var text = text
      text.withUTF8 { write(.text, UnsafeRawBufferPointer($0)) }
    case .binary(let payload):
      payload.withUnsafeBytes { write(.binary, $0) }
    }
  }

  /// A frame that is written in part is finished before another one begins.
  func finishFrameOfStream() {
    guard let rest = stream?.takeRestOfFrame(), !rest.isEmpty else { return }
    rest.withUnsafeBytes { unsent.append($0) }
  }

  /// Sends no more of the stream than the frame that it is in.
  func endStreamOfFrames() {
    finishFrameOfStream()
    stream = nil
  }

  /// Writes what waits, as far as the kernel takes it.
  func flush() {
    guard mayWrite else { return }
    if let pacing = pacing.last { return flushPiece(pacing.chunk, pacing.interval) }
    var budget = ServerConnection.writtenPerTurn
    while budget > 0 {
      var written = 0
      if !unsent.isEmpty {
        written = write(unsent.bytes)
        unsent.consume(written)
      } else if isStreaming {
        contextIsStale = true
        stream?.withNextBytes { bytes in
          written = write(bytes)
          return written
        }
        if stream?.isOver == true { stream = nil }
      }
      if hasEnded { return }
      guard written > 0 else { break }
      budget -= written
    }
    // The poller would not tell that the kernel takes more until much of what it has is gone.
    if budget <= 0 { continueSoon() }
    if unsent.isEmpty { unsent.removeAll(keepingCapacityUpTo: ServerConnection.highWatermark) }
    endWritingIfDue()
  }

  /// Writes one piece, and the next one when its time has come.
  private func flushPiece(_ chunk: Int, _ interval: Duration) {
    guard pacingTimer == nil else { return }
    guard !unsent.isEmpty else { return endWritingIfDue() }
    let count = write(UnsafeRawBufferPointer(rebasing: unsent.bytes.prefix(chunk)))
    if hasEnded { return }
    unsent.consume(count)
    pacingTimer = loop.schedule(at: .after(interval)) { [weak self] in
      self?.pacingTimer = nil
      self?.pump()
    }
  }

  private func endWritingIfDue() {
    guard mustEndWriting, !hasEndedWriting, unsent.isEmpty else { return }
    hasEndedWriting = true
    socket.shutdownWrite()
    if inputHasEnded, case .finishing = phase { end(.endOfStream) }
  }

  /// Hands bytes to the kernel; returns how many it took.
  private func write(_ bytes: UnsafeRawBufferPointer) -> Int {
    switch socket.write(bytes) {
    case .bytes(let count):
      isBlocked = count < bytes.count
      bytesSent += count
      return count
    case .wouldBlock, .endOfStream, .truncated:
      isBlocked = true
    case .failed(let error):
      end(TestServer.Ending.Stream(error))
    }
    return 0
  }
}
