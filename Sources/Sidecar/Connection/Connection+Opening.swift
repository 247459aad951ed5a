internal import SidecarExecutor
internal import SidecarProtocol
internal import SidecarTransport

/// Opening: connect a stream, then perform the opening handshake (RFC 6455 §4.1).
extension Connection {
  func connect() {
    guard case .idle(let request) = phase else { return }
    let connector = Connector(
      to: endpoint, resolver: configuration.resolver,
      timeouts: Connector.Timeouts(resolve: configuration.resolutionTimeout, connect: configuration.connectTimeout),
      loop: thread.loop, thread: thread
    ) { [weak self] result in
      self?.onThread(result) { connection, result in connection.connected(result) }
    }
    self.connector.withLock { $0 = connector }
    phase = .connecting(connector, request)
    connector.start()
  }

  private func connected(_ result: Result<ByteStream, Connector.Failure>) {
    guard case .connecting(_, let request) = phase else { return }
    switch result {
    case .failure(let failure): failConnecting(WebSocketError(failure))
    case .success(let stream):
      // Nothing is being looked up any more.
      connector.withLock { $0 = nil }
      startHandshake(on: stream, request)
    }
  }

  private func startHandshake(on stream: ByteStream, _ request: OpeningRequest) {
    phase = .connected(stream)
    shared.sendQueue.start(stream, request: request.bytes) { [weak self] in self?.post { $0.flush() } }
    do throws(SystemError) {
      registration = try thread.loop.register(
        stream.descriptor, interest: stream.interest(reading: true, writing: false), handler: self)
    } catch {
      return failConnecting(.systemResources(error))
    }
    setTimer(.after(configuration.handshakeTimeout)) { $0.streamEnded(.byUs, because: .timedOut(.openingHandshake)) }
    flush()
  }

  /// Opens the connection: the server's response has been accepted.
  func opened(_ response: OpeningResponse) {
    guard case .connected(let stream) = phase else { return }
    // Most connections are idle most of the time: the memory of the handshake is freed.
    if unsent.isEmpty { unsent = ByteBuffer() }
    cancelTimer()
    shared.inbox.onDrain { [weak self] in self?.post { $0.resumeReading() } }
    shared.sendQueue.open(response.deflate, configuration.compression)
    let remoteAddress = stream.remoteAddress
    shared.opened.complete(
      .success(
        SharedConnectionState.NegotiatedConnection(
          subprotocol: response.subprotocol, compression: response.deflate.map(WebSocketCompression.Negotiated.init),
          remoteAddress: remoteAddress)))
    configuration.onLog?(.opened(address: remoteAddress?.description ?? endpoint.description))
  }
}
