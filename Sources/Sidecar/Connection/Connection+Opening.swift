internal import SidecarExecutor
internal import SidecarTransport
internal import SidecarProtocol

/// The way to an open connection: resolve, connect, upgrade (RFC 6455 §4.1).
extension Connection {
  func start() {
    guard case .idle(let request) = phase else { return }
    phase = .resolving(request)
    let host = url.host
    hostBeingResolved.withLock { $0 = host }
    configuration.resolver.resolve(host: host, port: url.port) { [weak self] result in
      guard let self else { return }
      hostBeingResolved.withLock { $0 = nil }
      // A numeric address needs no look-up, and is here already.
      if thread.isCurrent {
        onThread(result) { connection, result in connection.resolved(result) }
      } else {
        post { $0.resolved(result) }
      }
    }
    // What is over by now needs no time.
    guard case .resolving = phase else { return }
    setTimer(.after(configuration.resolutionTimeout)) { $0.failOpening(.timedOut(.resolution)) }
  }

  private func resolved(_ result: Result<[SocketAddress], ResolutionError>) {
    guard case .resolving(let request) = phase else { return }
    switch result {
    case .failure(let error):
      failOpening(.resolutionFailed(error))
    case .success(let addresses):
      let attempts = HappyEyeballs(addresses: addresses, loop: thread.loop) { [weak self] result in
        self?.onThread(result) { connection, result in connection.connected(result) }
      }
      phase = .connecting(attempts, request)
      attempts.start()
      guard case .connecting = phase else { return }
      setTimer(.after(configuration.connectTimeout)) { $0.failOpening(.timedOut(.connect)) }
    }
  }

  private func connected(_ result: Result<StreamSocket, ConnectError>) {
    guard case .connecting(_, let request) = phase else { return }
    switch result {
    case .failure(let error):
      failOpening(.connectFailed(error))
    case .success(let socket):
      self.socket = socket
      places.outbox.take(socket)
      do throws(SystemError) {
        registration = try thread.loop.register(socket.descriptor, interest: .readable, handler: self)
      } catch {
        failOpening(.systemResources(error))
        return
      }
      phase = .upgrading(OpeningResponseParser(request: request))
      setTimer(.after(configuration.handshakeTimeout)) { $0.openingTimedOut() }
      request.bytes.withUnsafeBytes { unsent.append($0) }
      flush()
    }
  }

  /// Takes bytes of the server's answer; returns how many belonged to it.
  func receiveAnswer(_ bytes: UnsafeRawBufferPointer) -> Int {
    guard case .upgrading(var parser) = phase else { return bytes.count }
    do throws(HandshakeViolation) {
      let (consumed, response) = try parser.receive(bytes)
      phase = .upgrading(parser)
      if let response { opened(response) }
      return consumed
    } catch {
      failOpening(WebSocketError(error))
      return bytes.count
    }
  }

  private func openingTimedOut() {
    guard case .upgrading(let parser) = phase else { return }
    failOpening(parser.partialRefusal().map { WebSocketError($0) } ?? .timedOut(.openingHandshake))
  }

  private func opened(_ response: OpeningResponse) {
    guard let socket else { return }
    phase = .open
    // Most connections are idle most of the time: what the handshake needed is given back.
    if unsent.isEmpty { unsent = ByteBuffer() }
    cancelTimer()
    if let agreement = response.deflate, let options = configuration.compression {
      receiver = MessageReceiver(role: .client, limits: configuration.limits, deflate: agreement)
      places.outbox.compress(agreement, options)
    }
    places.inbox.onDrain { [weak self] in self?.post { $0.resumeReading() } }
    places.outbox.open { [weak self] in self?.post { $0.flush() } }
    let remoteAddress = socket.remoteAddress
    places.opened.complete(
      .success(SharedConnectionState.Opening(subprotocol: response.subprotocol, remoteAddress: remoteAddress)))
    configuration.onLog?(.opened(address: remoteAddress?.description ?? url.host))
  }
}
