internal import SidecarExecutor
internal import SidecarTransport
internal import SidecarProtocol

/// The way to an open connection: resolve, connect, upgrade (RFC 6455 §4.1).
extension Connection {
  func start() {
    guard case .idle(let request) = phase else { return }
    phase = .connecting(request)
    let connector = Connector(
      to: .tcp(host: url.host, port: url.port), resolver: configuration.resolver,
      timeouts: .init(resolve: configuration.resolutionTimeout, connect: configuration.connectTimeout),
      loop: thread.loop, thread: thread
    ) { [weak self] result in
      self?.onThread(result) { connection, result in connection.connected(result) }
    }
    self.connector.withLock { $0 = connector }
    connector.start()
  }

  private func connected(_ result: Result<ByteStream, Connector.Failure>) {
    guard case .connecting(let request) = phase else { return }
    switch result {
    case .failure(let failure):
      failOpening(WebSocketError(failure, url: url))
    case .success(.plain(let socket)):
      self.socket = socket
      places.outbox.take(socket)
      do throws(SystemError) {
        registration = try thread.loop.register(socket.descriptor, interest: .readable, handler: self)
      } catch {
        failOpening(.systemResources(error))
        return
      }
      phase = .upgrading(OpeningResponseParser(request: request))
      setTimer(.after(configuration.handshakeTimeout)) { $0.failOpening(.timedOut(.openingHandshake)) }
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

extension WebSocketError {
  /// A step to a stream that failed, in the words of the public API.
  init(_ failure: Connector.Failure, url: WebSocketURL) {
    switch failure {
    case .resolution(let error): self = .resolutionFailed(error)
    case .connect(let error): self = .connectFailed(error)
    case .system(let error): self = .systemResources(error)
    case .timedOut(.resolve): self = .timedOut(.resolution)
    case .timedOut(.connect): self = .timedOut(.connect)
    case .invalidEndpoint(let reason): self = .invalidURL(url.text, reason: reason)
    }
  }

  /// An answer that does not open the connection, in the words of the public API.
  init(_ violation: HandshakeViolation) {
    switch violation {
    case .refused(let refusal):
      self = .handshakeRefused(
        HandshakeRefusal(
          status: refusal.status, reason: refusal.reason,
          headers: refusal.headers.fields.map { .init(name: $0.name, value: $0.value) }, body: refusal.bodyPrefix))
    default:
      self = .handshakeFailed(reason: violation.description)
    }
  }
}
