import Glibc
import CSidecarZlib
import Testing

@testable import SidecarProtocol

@Suite struct PermessageDeflateNegotiationTests {
  private typealias Agreement = PermessageDeflate.Agreement
  private typealias Offer = PermessageDeflate.Offer

  private func element(_ text: String) throws -> ExtensionElement {
    try #require(ExtensionElement(parsing: text))
  }

  @Test func `an offer is written as its parameters say`() {
    #expect(Offer().element.description == "permessage-deflate; client_max_window_bits")
    #expect(
      Offer(
        serverNoContextTakeover: true, clientNoContextTakeover: true, serverMaxWindowBits: 10, clientMaxWindowBits: 9
      ).element.description
        == "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
        + "server_max_window_bits=10; client_max_window_bits=9")
  }

  @Test(arguments: [
    ("", Agreement()),
    ("; server_no_context_takeover", Agreement(serverNoContextTakeover: true)),
    ("; client_no_context_takeover", Agreement(clientNoContextTakeover: true)),
    ("; server_max_window_bits=8", Agreement(serverMaxWindowBits: 8)),
    ("; client_max_window_bits=15", Agreement()),
    (
      ";client_max_window_bits = \"8\" ; server_no_context_takeover;server_max_window_bits=12",
      Agreement(serverNoContextTakeover: true, serverMaxWindowBits: 12, clientMaxWindowBits: 8)
    ),
  ])
  func `an answer is agreed on`(_ parameters: String, _ agreement: PermessageDeflate.Agreement) throws {
    #expect(try Offer().agreement(element("permessage-deflate" + parameters)) == agreement)
  }

  @Test(arguments: [
    ("other", ExtensionViolation.unknownParameter("other")),
    ("server_no_context_takeover=1", .invalidValue(parameter: "server_no_context_takeover", value: "1")),
    ("client_no_context_takeover=true", .invalidValue(parameter: "client_no_context_takeover", value: "true")),
    ("server_max_window_bits", .invalidValue(parameter: "server_max_window_bits", value: nil)),
    ("client_max_window_bits", .invalidValue(parameter: "client_max_window_bits", value: nil)),
    ("server_max_window_bits=7", .invalidValue(parameter: "server_max_window_bits", value: "7")),
    ("server_max_window_bits=16", .invalidValue(parameter: "server_max_window_bits", value: "16")),
    ("client_max_window_bits=08", .invalidValue(parameter: "client_max_window_bits", value: "08")),
    ("client_max_window_bits=+9", .invalidValue(parameter: "client_max_window_bits", value: "+9")),
    ("server_no_context_takeover; server_no_context_takeover", .repeatedParameter("server_no_context_takeover")),
    ("server_max_window_bits=9; server_max_window_bits=9", .repeatedParameter("server_max_window_bits")),
  ])
  func `an answer with a wrong parameter is refused`(_ parameters: String, _ violation: ExtensionViolation) throws {
    let answer = try element("permessage-deflate; " + parameters)
    #expect(throws: violation) { try Offer().agreement(answer) }
  }

  @Test func `what was asked of the server is a request, and the defaults hold where it is not confirmed`() throws {
    let plain = ExtensionElement("permessage-deflate")
    #expect(try Offer(serverNoContextTakeover: true).agreement(plain) == Agreement())
    #expect(try Offer(serverMaxWindowBits: 10).agreement(plain) == Agreement())
    // As servers answer that cannot do what is asked: the largest window, or 9 for 8, as zlib does.
    for (offered, answered) in [(10, 15), (8, 9), (10, 10), (10, 9)] {
      let response = try element("permessage-deflate; server_max_window_bits=\(answered)")
      #expect(try Offer(serverMaxWindowBits: offered).agreement(response) == Agreement(serverMaxWindowBits: answered))
    }
  }

  @Test func `what is required of the server has to be in its response`() throws {
    let plain = ExtensionElement("permessage-deflate")
    func required(takeover: Bool = false, bits: Int? = nil) -> Offer {
      Offer(serverNoContextTakeover: takeover, serverMaxWindowBits: bits, requiresParameters: true)
    }
    #expect(throws: ExtensionViolation.unconfirmedParameter("server_no_context_takeover")) {
      try required(takeover: true).agreement(plain)
    }
    #expect(throws: ExtensionViolation.unconfirmedParameter("server_max_window_bits")) {
      try required(bits: 10).agreement(plain)
    }
    let larger = ExtensionViolation.largerThanOffered(parameter: "server_max_window_bits", offered: 8, value: 9)
    #expect(throws: larger) {
      try required(bits: 8).agreement(element("permessage-deflate; server_max_window_bits=9"))
    }
    #expect(larger.description.contains("is 9, larger than the 8 offered"))
    #expect(
      try required(takeover: true, bits: 10).agreement(
        element("permessage-deflate; server_max_window_bits=9; server_no_context_takeover"))
        == Agreement(serverNoContextTakeover: true, serverMaxWindowBits: 9))
    // Any window is within the largest.
    #expect(try required(bits: 15).agreement(plain) == Agreement())
    #expect(try required().agreement(plain) == Agreement())
  }

  @Test func `what the client said of itself holds whatever the answer says`() throws {
    let offer = Offer(clientNoContextTakeover: true, clientMaxWindowBits: 10)
    let own = Agreement(clientNoContextTakeover: true, clientMaxWindowBits: 10)
    #expect(try offer.agreement(ExtensionElement("permessage-deflate")) == own)
    #expect(try offer.agreement(element("permessage-deflate; client_max_window_bits=12")) == own)
  }

  @Test func `an agreement says what holds for each sender`() {
    let agreement = Agreement(clientNoContextTakeover: true, serverMaxWindowBits: 9, clientMaxWindowBits: 10)
    #expect(agreement.noContextTakeover(sender: .client) && !agreement.noContextTakeover(sender: .server))
    #expect(agreement.windowBits(sender: .client) == 10 && agreement.windowBits(sender: .server) == 9)
  }

  @Test(arguments: [
    ("permessage-deflate", Agreement(), "permessage-deflate"),
    ("x-other, permessage-deflate", Agreement(), "permessage-deflate"),
    ("permessage-deflate; unknown, permessage-deflate; client_max_window_bits", Agreement(), "permessage-deflate"),
    (
      "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
      Agreement(serverNoContextTakeover: true, clientNoContextTakeover: true),
      "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
    ),
    (
      "permessage-deflate; server_max_window_bits=15", Agreement(), "permessage-deflate; server_max_window_bits=15"
    ),
    (
      "permessage-deflate; server_max_window_bits=10; client_max_window_bits=11",
      Agreement(serverMaxWindowBits: 10, clientMaxWindowBits: 11),
      "permessage-deflate; server_max_window_bits=10; client_max_window_bits=11"
    ),
  ])
  func `a server accepts the first valid offer`(
    _ offers: String, _ agreement: PermessageDeflate.Agreement, _ answered: String
  ) throws {
    let offers = try HeaderFields([.init("E", offers)]).list("E").map(element)
    let answer = try #require(PermessageDeflate.answer(to: offers))
    #expect(answer.agreement == agreement)
    #expect(answer.element.description == answered)
  }

  @Test func `a server asks for what it prefers where the client lets it`() throws {
    let preference = Agreement(serverNoContextTakeover: true, serverMaxWindowBits: 11, clientMaxWindowBits: 12)
    let plain = try #require(
      PermessageDeflate.answer(to: [ExtensionElement("permessage-deflate")], preference: preference))
    #expect(plain.agreement == Agreement(serverNoContextTakeover: true, serverMaxWindowBits: 11))
    let able = try #require(PermessageDeflate.answer(to: [Offer().element], preference: preference))
    #expect(able.agreement == preference)
    #expect(try Offer().agreement(able.element) == preference)
  }

  @Test func `a server declines when no offer is valid`() throws {
    #expect(PermessageDeflate.answer(to: []) == nil)
    #expect(PermessageDeflate.answer(to: [ExtensionElement("x-webkit-deflate-frame")]) == nil)
    #expect(PermessageDeflate.answer(to: [try element("permessage-deflate; server_max_window_bits=99")]) == nil)
  }
}

@Suite struct DeflaterTests {
  private typealias Agreement = PermessageDeflate.Agreement

  @Test func `what one endpoint compresses the other one reads`() {
    let messages = [utf8("Hello"), [], utf8("Hello"), noise(100_000), [], [], utf8("Hello, Hello"), noise(100_000)]
    for role in [Role.client, .server] {
      for bits in 8...15 {
        for noTakeover in [false, true] {
          let agreement = Agreement(
            serverNoContextTakeover: noTakeover, clientNoContextTakeover: noTakeover, serverMaxWindowBits: bits,
            clientMaxWindowBits: bits)
          var deflater = Deflater(agreement, role: role, level: 1 + bits % 9)
          var wire: [UInt8] = []
          for message in messages {
            var buffer = ByteBuffer()
            message.withUnsafeBytes { deflater.compress($0, into: &buffer) }
            wire += frame(0xC2, Array(buffer.bytes), key: role == .client ? 0x5EED_5EED : nil)
          }
          let lines = MessageReceiver.record(wire, role: role == .client ? .server : .client, deflate: agreement).lines
          #expect(lines == messages.map { "binary \(brief($0))" })
        }
      }
    }
  }

  @Test func `the examples of RFC 7692 §7.2.3 are what comes out`() {
    var deflater = Deflater(Agreement(), role: .client)
    var buffer = ByteBuffer()
    utf8("Hello").withUnsafeBytes { deflater.compress($0, into: &buffer) }
    #expect(Array(buffer.bytes) == [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00])
    buffer.removeAll()
    utf8("Hello").withUnsafeBytes { deflater.compress($0, into: &buffer) }
    #expect(Array(buffer.bytes) == [0xF2, 0x00, 0x11, 0x00, 0x00])
    #expect(compressed([]) == [0x00])
  }

  @Test func `context takeover makes the second message smaller, and only it`() {
    for (noTakeover, smaller) in [(false, true), (true, false)] {
      var deflater = Deflater(Agreement(clientNoContextTakeover: noTakeover), role: .client)
      let sizes = (0..<2).map { _ in
        var buffer = ByteBuffer()
        noise(1000).withUnsafeBytes { deflater.compress($0, into: &buffer) }
        return buffer.count
      }
      #expect((sizes[1] < 100) == smaller)
    }
  }

  @Test func `a window of 2^8 is kept to, although zlib has none`() throws {
    let message = (0..<40).flatMap { utf8("line \($0 % 7): \(brief(noise(9, seed: UInt64($0 % 7))))\n") }
    let agreement = Agreement(clientMaxWindowBits: 8)
    let bytes = compressed(message, agreement, role: .client) + [0x00, 0x00, 0xFF, 0xFF]
    // Read with a window of 2^8, and in small steps, because zlib looks no further back than its window only then.
    var stream = z_stream()
    try #require(inflateInit2_(&stream, -8, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK)
    defer { inflateEnd(&stream) }
    var input = bytes
    var output: [UInt8] = []
    let result = input.withUnsafeMutableBufferPointer { input -> Int32 in
      stream.next_in = input.baseAddress
      stream.avail_in = UInt32(input.count)
      var result = Z_OK
      repeat {
        var piece = [UInt8](repeating: 0, count: 16)
        piece.withUnsafeMutableBufferPointer {
          stream.next_out = $0.baseAddress
          stream.avail_out = 16
          result = inflate(&stream, Z_SYNC_FLUSH)
        }
        output += piece.prefix(16 - Int(stream.avail_out))
      } while result == Z_OK && stream.avail_out == 0
      return result
    }
    #expect(result == Z_OK || result == Z_BUF_ERROR)
    #expect(output == message)
    // The message does repeat itself farther back than that.
    #expect(compressed(message).count < bytes.count)
  }

  @Test func `without context takeover nothing is kept from one read to the next`() {
    let agreement = Agreement(serverNoContextTakeover: true)
    var receiver = MessageReceiver(role: .client, deflate: agreement)
    var recorder = Recorder()
    for end in [[], [8]] as [[UInt8]] {
      // Another message has begun then, but it is not compressed.
      let messages = frame(0xC2, compressed(noise(5000))) + frame(0xC1, compressed(Array("Hello".utf8)))
      var wire = end + messages + [0x82, 2, 7]
      wire.withUnsafeMutableBytes { receiver.receive($0, into: &recorder) }
      let hasSpareMemory = receiver.hasSpareMemory
      #expect(!hasSpareMemory)
    }
    #expect(recorder.lines.count == 5)
  }

  @Test func `compressed messages that come with others are read and judged as those that come in pieces`() {
    let others = frame(0x82, noise(300)) + frame(0x89, [1, 2, 3])
    for test in ConformanceCase.compression {
      for wire in [others + test.bytes, others + test.bytes + others] {
        for deflate in [test.deflate, Agreement(serverNoContextTakeover: true)] {
          let whole = MessageReceiver.record(wire, role: test.role, limits: test.limits, deflate: deflate).lines
          for (size, room) in [(1, 0), (7, 0), (nil, 4096)] as [(Int?, Int)] {
            let lines = MessageReceiver.record(
              wire, role: test.role, limits: test.limits, deflate: deflate, piece: size, room: room
            ).lines
            #expect(lines == whole, "\(test.name), in pieces of \(size ?? wire.count), with room for \(room)")
          }
        }
      }
    }
  }

  @Test(arguments: [0, 4096])
  func `a short compressed message that was cut anywhere is judged as it is in pieces`(room: Int) {
    // Blocks that say they are the last, after another one and alone; others; and one whose length is to be found in
    // the tail.
    let text = utf8("the quick brown fox jumps over the lazy dog, the quick brown fox")
    let first = compressed(text) + [0x00, 0x00, 0xFF, 0xFF]
    let blocks: [[UInt8]] = [
      first + [0x01, 0x1E, 0x00, 0xE1, 0xFF] + noise(30),
      first + [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00],
      [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00],
      first + compressed(noise(40)),
      first + [0x00, 0xFF],
      compressed(text),
    ]
    let agreement = Agreement(serverNoContextTakeover: true)
    let ping = frame(0x89, noise(14))
    for block in blocks {
      for end in 0...block.count {
        let wire = frame(0xC2, Array(block[..<end])) + ping
        let whole = MessageReceiver.record(wire, deflate: agreement, room: room).lines
        let pieces = MessageReceiver.record(wire, deflate: agreement, piece: 1).lines
        #expect(whole == pieces, "\(end) of \(block.count) bytes")
      }
    }
  }

  @Test(arguments: [false, true])
  func `a short compressed message is put where it would be copied to`(keepsContext: Bool) {
    let agreement = Agreement(serverNoContextTakeover: !keepsContext)
    var deflater = Deflater(agreement, role: .server)
    // What fits, what just does, and what turns out to be too long.
    let messages = [5, 0, 1024, 1, 1281, 1282, 1283, 7, 1025, 50_000, 8, 9, 10].map { size in
      (0..<size).map { UInt8(truncatingIfNeeded: $0 % 13) }
    }
    let wires = messages.map { message in
      var payload = ByteBuffer()
      message.withUnsafeBytes { deflater.compress($0, into: &payload) }
      return frame(0xC2, Array(payload.bytes))
    }
    // The last one needs bytes after it, too.
    let ping = frame(0x89, noise(14))
    for room in [0, 1281, 1282, 9000] {
      let recorder = MessageReceiver.record(wires.joined() + ping, deflate: agreement, room: room)
      #expect(recorder.lines.dropLast() == messages.map { "binary \(brief($0))" }[...])
      #expect((recorder.lastAddress == UnsafeRawPointer(recorder.inflateDestination.baseAddress)) == (room >= 1282))
    }
  }

  @Test func `every compressed message of two bytes is judged as it is in pieces`() {
    let agreement = Agreement(serverNoContextTakeover: true)
    let ping = frame(0x89, noise(14))
    for first in UInt8.min...UInt8.max {
      for second in UInt8.min...UInt8.max {
        let wire = frame(0xC2, [first, second]) + ping
        let whole = MessageReceiver.record(wire, deflate: agreement, room: 2048).lines
        #expect(whole == MessageReceiver.record(wire, deflate: agreement, piece: 1).lines, "\(first), \(second)")
      }
    }
  }

  @Test func `a message whose last code would be completed by what follows the tail is refused`() {
    // RFC 1951 §3.2.7: literals 0 to 18 of 3 bits (seven), 4, 5 and so on to 15, and the end of the block, which is all
    // ones. The tail is five times literal 0 and once literal 3 then, and all but one bit of that end.
    let lengths = [Int](repeating: 3, count: 7) + Array(4...15) + [Int](repeating: 0, count: 237) + [15]
    var bits: [Int] = []
    func add(_ value: Int, _ count: Int) { bits += (0..<count).map { value >> $0 & 1 } }
    func addCode(_ value: Int, _ count: Int) { bits += (0..<count).reversed().map { value >> $0 & 1 } }
    add(0b100, 3)
    add(257 - 257, 5)
    add(1 - 1, 5)
    add(19 - 4, 4)
    for symbol in [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15] {
      add(symbol > 15 || symbol == 1 || symbol == 2 ? 0 : symbol < 4 ? 3 : 4, 3)
    }
    for length in lengths + [0] { length < 4 ? addCode(length / 3, 3) : addCode(length, 4) }
    while bits.count % 8 != 0 { addCode(0b001, 3) }
    let payload = stride(from: 0, to: bits.count, by: 8).map { start in
      (0..<8).reduce(UInt8(0)) { $0 | UInt8(bits[start + $1]) << $1 }
    }
    let agreement = Agreement(serverNoContextTakeover: true)
    for room in [0, 4096] {
      let wire = frame(0xC2, payload) + frame(0x89, noise(14))
      let whole = MessageReceiver.record(wire, deflate: agreement, room: room).lines
      #expect(whole == MessageReceiver.record(wire, deflate: agreement, piece: 1).lines)
      #expect(whole.first?.contains("it ends inside a block") == true, "\(whole)")
    }
  }

  @Test func `a sink that copies nothing needs no room`() {
    struct Sizes: MessageSink {
      var all: [Int] = []
      mutating func receiveMessage(_ kind: MessageKind, _ bytes: UnsafeRawBufferPointer) { all.append(bytes.count) }
      mutating func receiveMessage(_ kind: MessageKind, assembled payload: WebSocketPayload) { all += [payload.count] }
    }
    var receiver = MessageReceiver(role: .client, deflate: Agreement())
    var sizes = Sizes()
    var wire = frame(0xC2, compressed(noise(50))) + frame(0xC2, compressed(noise(5000))) + frame(0x89, [1, 2])
    let isPing = wire.withUnsafeMutableBytes { bytes in
      guard var input = ReadCursor(bytes), case .ping = receiver.receive(&input, into: &sizes) else { return false }
      return input.isAtEnd
    }
    #expect(sizes.all == [50, 5000] && isPing)
  }

  @Test func `a bomb costs no more memory than the limit`() {
    // 64 MiB of zeroes in 64 KiB.
    let bomb = frame(0xC2, compressed([UInt8](repeating: 0, count: 64 << 20)))
    let before = residentSize()
    let recorder = MessageReceiver.record(bomb, limits: .init(maximumMessageSize: 1 << 20), deflate: Agreement())
    #expect(recorder.lines.first?.hasPrefix("violation 1009") == true)
    #expect(residentSize() - before < 16 << 20)
  }

  private func residentSize() -> Int {
    // The second number of /proc/self/statm, in pages.
    guard let file = fopen("/proc/self/statm", "r") else { return 0 }
    defer { fclose(file) }
    var size = 0
    var resident = 0
    withUnsafeMutablePointer(to: &size) { size in
      withUnsafeMutablePointer(to: &resident) { resident in
        _ = withVaList([size, resident]) { vfscanf(file, "%ld %ld", $0) }
      }
    }
    return resident * 4096
  }
}
