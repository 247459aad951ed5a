import SidecarProtocol

/// The request that all answers belong to: its key is the example of RFC 6455 §1.3, so that seeds can have the answer.
func fixedRequest(flags: UInt8) throws(PropertyFailure) -> OpeningRequest {
  var offer: PermessageDeflate.Offer?
  if flags & 1 != 0 {
    offer = PermessageDeflate.Offer(
      serverNoContextTakeover: flags & 2 != 0, clientNoContextTakeover: flags & 4 != 0,
      serverMaxWindowBits: flags & 8 != 0 ? 10 : nil, clientMaxWindowBits: flags & 16 != 0 ? 12 : 15,
      requiresParameters: flags & 4 != 0)
  }
  do {
    return try OpeningRequest(
      host: "peer.example", port: 80, isSecure: false, subprotocols: flags & 32 != 0 ? ["chat", "superchat"] : [],
      deflate: offer, key: HandshakeKey("dGhlIHNhbXBsZSBub25jZQ=="))
  } catch {
    throw PropertyFailure(description: "the request is refused: \(error)")
  }
}

/// What reading a head came to, or a response with its body.
struct HeadOutcome: Equatable {
  var consumed = 0
  var response: OpeningResponse?
  var request: ReceivedOpeningRequest?
  var violation: HandshakeViolation?
  /// What the end of the stream means after an incomplete response.
  var end: HandshakeViolation?
  var partialRefusal: HandshakeViolation?

  var isOver: Bool { response != nil || request != nil || violation != nil }
}

/// The response and the request: cutting changes nothing, little is consumed, and only what was offered is accepted.
func checkHandshake(_ input: inout FuzzInput) throws(PropertyFailure) {
  let flags = input.byte()
  let request = try fixedRequest(flags: flags)
  let cutting = input.cutting()
  // The end over and over, in some inputs: nothing else makes up so much that it reaches the limits.
  var head = Array(input.rest)
  let end = head.suffix(100)
  for _ in 0..<[0, 0, 100, 1000][Int(flags >> 6)] { head += end }
  let bytes = WebSocketPayload(head)
  try bytes.withUnsafeBytes { bytes throws(PropertyFailure) in
    try checkHead(bytes, request, cutting)
  }
}

private func checkHead(
  _ bytes: UnsafeRawBufferPointer, _ request: OpeningRequest, _ cutting: Cutting
) throws(PropertyFailure) {
  let answer = readAnswer(bytes, to: request, .whole)
  for cutting in [cutting, .single] {
    try require(readAnswer(bytes, to: request, cutting) == answer, "\(cutting), the answer is another")
  }
  if answer.partialRefusal == nil {
    try require(answer.consumed <= 64 * 1024, "\(answer.consumed) bytes were taken for a head")
  }
  if let response = answer.response { try check(response, to: request) }
  for violation in [answer.violation, answer.end, answer.partialRefusal] {
    if let violation { try check(violation) }
  }

  let received = readRequest(bytes, .whole)
  for cutting in [cutting, .single] {
    try require(readRequest(bytes, cutting) == received, "\(cutting), the request is another")
  }
  if let received = received.request {
    try require(received.key.isWellFormed && !received.target.isEmpty, "a request was accepted that is none")
    let answer = ServerResponse(
      accepting: received, deflate: PermessageDeflate.answer(to: received.extensions)?.element)
    try require(!answer.bytes.isEmpty, "a request has no answer")
  }
}

/// A refusal is bounded, and every violation is one line that is safe to show.
private func check(_ violation: HandshakeViolation) throws(PropertyFailure) {
  let text = violation.description
  try require(text.escapedForDisplay == text, "\(text) is not safe to show")
  if case .refused(let refusal) = violation {
    try require((200...999).contains(refusal.status), "refused with \(refusal.status)")
    try require(refusal.body.count <= 16 * 1024, "\(refusal.body.count) bytes of a body are kept")
  }
}

/// What a client has accepted is what it asked for.
func check(_ response: OpeningResponse, to request: OpeningRequest) throws(PropertyFailure) {
  if let subprotocol = response.subprotocol {
    try require(request.subprotocols.contains(subprotocol), "the subprotocol \(subprotocol) was not offered")
  }
  if let agreement = response.deflate {
    guard let offer = request.deflate else { throw PropertyFailure(description: "compression was not offered") }
    try check(agreement, of: offer)
  }
  try require(
    response.headers.values("sec-websocket-accept") == [request.key.accept], "the key was not answered")
}

/// What is agreed on is within what was offered.
func check(_ agreement: PermessageDeflate.Agreement, of offer: PermessageDeflate.Offer) throws(PropertyFailure) {
  try require(
    (8...15).contains(agreement.serverMaxWindowBits)
      && (8...offer.clientMaxWindowBits).contains(agreement.clientMaxWindowBits)
      && (agreement.clientNoContextTakeover || !offer.clientNoContextTakeover),
    "\(offer) came to \(agreement)")
  guard offer.requiresParameters else { return }
  try require(
    agreement.serverMaxWindowBits <= offer.serverMaxWindowBits ?? 15
      && (agreement.serverNoContextTakeover || !offer.serverNoContextTakeover),
    "\(offer) came to \(agreement), which does not keep what is required")
}

private func readAnswer(_ bytes: UnsafeRawBufferPointer, to request: OpeningRequest, _ cutting: Cutting) -> HeadOutcome
{
  var parser = OpeningResponseParser(request: request)
  var outcome = readHead(bytes, cutting) { piece, outcome throws(HandshakeViolation) in
    let (consumed, response) = try parser.receive(piece)
    outcome.response = response
    return consumed
  }
  if !outcome.isOver {
    outcome.partialRefusal = parser.partialRefusal()
    outcome.end = parser.receiveEndOfStream()
  }
  return outcome
}

private func readRequest(_ bytes: UnsafeRawBufferPointer, _ cutting: Cutting) -> HeadOutcome {
  var parser = OpeningRequestParser()
  return readHead(bytes, cutting) { piece, outcome throws(HandshakeViolation) in
    let (consumed, request) = try parser.receive(piece)
    outcome.request = request
    return consumed
  }
}

private func readHead(
  _ bytes: UnsafeRawBufferPointer, _ cutting: Cutting,
  _ receive: (UnsafeRawBufferPointer, inout HeadOutcome) throws(HandshakeViolation) -> Int
) -> HeadOutcome {
  var outcome = HeadOutcome()
  cutting.forEachPiece(of: bytes) { piece in
    guard !outcome.isOver else { return }
    do throws(HandshakeViolation) {
      outcome.consumed += try receive(UnsafeRawBufferPointer(piece), &outcome)
    } catch .notHTTP {
      // How much of it had arrived depends on the cutting.
      outcome.violation = .notHTTP(NonHTTPResponse([]))
    } catch {
      outcome.violation = error
    }
  }
  // How far a parser has looked when it fails is its own matter.
  if outcome.violation != nil { outcome.consumed = 0 }
  return outcome
}

/// The extensions header: what was read can be written and read again, and the two ends agree on the same.
func checkExtensions(_ input: inout FuzzInput) throws(PropertyFailure) {
  let flags = input.byte()
  let preference = input.agreement()
  let headers: HeaderFields = ["Sec-WebSocket-Extensions": String(decoding: input.rest, as: UTF8.self)]
  var elements: [ExtensionElement] = []
  for text in headers.list("sec-websocket-extensions") {
    guard let element = ExtensionElement(parsing: text) else { continue }
    try require(ExtensionElement(parsing: element.description) == element, "\(element) is read as something else")
    elements.append(element)
  }
  // As a client, with each element as the server's answer.
  let offer = try fixedRequest(flags: flags | 1).deflate ?? PermessageDeflate.Offer()
  for element in elements where element.name == PermessageDeflate.name {
    if let agreement = try? offer.agreement(element) { try check(agreement, of: offer) }
  }
  // As a server, with the elements as a client's offers: whoever made the one that is taken accepts the answer.
  guard let answer = PermessageDeflate.answer(to: elements, preference: preference) else { return }
  try require(
    ExtensionElement(parsing: answer.element.description) == answer.element, "\(answer.element) cannot be read")
  // And with our own offer, both ends come to the same.
  guard let ours = PermessageDeflate.answer(to: [offer.element], preference: preference) else {
    throw PropertyFailure(description: "our own offer is declined: \(offer.element)")
  }
  guard let accepted = try? offer.agreement(ours.element) else {
    throw PropertyFailure(description: "\(ours.element) does not answer \(offer.element)")
  }
  try require(accepted == ours.agreement, "\(ours.element) is \(ours.agreement) here and \(accepted) there")
}
