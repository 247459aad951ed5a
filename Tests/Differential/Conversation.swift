import SidecarProtocol

/// One case: what a peer sends, right or wrong, and how it is cut.
struct Conversation {
  var role: Role
  var deflate: PermessageDeflate.Agreement?
  var limit: Int
  var bytes: [UInt8]
  var pieces: [Int]

  /// Whether the stream ends where it was cut off, perhaps inside a header.
  var isCut: Bool

  /// Whether a control frame stands inside a compressed message.
  private(set) var hasControlInsideCompressed = false

  /// Whether a compressed message has no bytes at all.
  private(set) var hasEmptyCompressed = false
}

/// A generator of which the same seed makes the same numbers everywhere (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) {
    state = seed
  }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
    return value ^ value >> 31
  }

  mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self) < percent }
  mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &self) }
  mutating func byte() -> UInt8 { UInt8.random(in: 0...255, using: &self) }
  mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in byte() } }

  mutating func one<Element>(of elements: [Element]) -> Element {
    elements[Int.random(in: 0..<elements.count, using: &self)]
  }
}

/// One frame that can be made wrong.
private struct Frame {
  /// FIN, the reserved bits and the opcode.
  var first: UInt8
  var payload: [UInt8]
  var key: UInt32?
  var lengthBytes: Int?
  var announced: UInt64?

  var bytes: [UInt8] {
    let length = announced ?? UInt64(payload.count)
    let mask: UInt8 = key == nil ? 0 : 0x80
    let form = lengthBytes ?? (length <= 125 ? 0 : length <= 0xFFFF ? 2 : 8)
    var bytes = [first]
    switch form {
    case 0: bytes.append(UInt8(truncatingIfNeeded: length & 0x7F) | mask)
    case 2: bytes.append(126 | mask)
    default: bytes.append(127 | mask)
    }
    bytes += (0..<form).map { UInt8(truncatingIfNeeded: length >> UInt64(8 * (form - 1 - $0))) }
    guard let key else { return bytes + payload }
    let keyBytes = withUnsafeBytes(of: key.littleEndian, Array.init)
    return bytes + keyBytes + payload.enumerated().map { $0.element ^ keyBytes[$0.offset & 3] }
  }
}

extension Conversation {
  /// Makes a conversation up: a valid one, or one that has been damaged.
  init(using random: inout SeededGenerator) {
    role = random.chance(50) ? .client : .server
    if random.chance(50) {
      deflate = PermessageDeflate.Agreement(
        serverNoContextTakeover: random.chance(30), clientNoContextTakeover: random.chance(30),
        serverMaxWindowBits: random.number(8...15), clientMaxWindowBits: random.number(8...15))
    }
    limit = random.chance(80) ? 1 << 20 : random.number(50...3000)
    var writer = Writer(role: role, deflate: deflate)
    for _ in 0..<random.number(1...6) { writer.writeMessage(using: &random) }
    if random.chance(60) { writer.writeClose(using: &random) }
    var frames = writer.frames
    if random.chance(50) {
      for _ in 0..<random.number(1...2) { Self.damage(&frames, using: &random) }
    }
    isCut = random.chance(10)
    // What stands at the end shows whether a parser still listens, and completes every header before it.
    if !isCut {
      frames.append(Frame(first: 0x89, payload: Array("are you still there, peer?".utf8), key: writer.key(&random)))
    }
    bytes = frames.flatMap(\.bytes)
    if random.chance(15) { Self.damage(&bytes, using: &random) }
    if isCut { bytes.removeLast(random.number(0...min(20, bytes.count))) }
    pieces = Self.cut(bytes.count, using: &random)
    scan()
  }

  private static func cut(_ count: Int, using random: inout SeededGenerator) -> [Int] {
    var rest = count
    var pieces: [Int] = []
    let largest = random.one(of: [1, 2, 7, 64, 1500, 1 << 20])
    while rest > 0 {
      // A large case cut into single bytes would only take long.
      let piece = min(rest, random.number(1...max(largest, count / 500)))
      pieces.append(piece)
      rest -= piece
    }
    return pieces
  }

  private static func damage(_ frames: inout [Frame], using random: inout SeededGenerator) {
    let index = random.number(0...(frames.count - 1))
    switch random.number(0...11) {
    case 0: frames[index].first ^= random.one(of: [0x40, 0x20, 0x10, 0x60, 0x70])
    case 1: frames[index].first = frames[index].first & 0xF0 | random.byte() & 0x0F
    case 2: frames[index].first ^= 0x80
    case 3: frames[index].lengthBytes = random.one(of: [2, 8])
    case 4: frames[index].announced = random.one(of: [1 << 63, .max, UInt64(Int64.max), 1 << 32, 126, 70_000])
    case 5: frames[index].key = frames[index].key == nil ? 0x0102_0304 : nil
    case 6, 7:
      guard !frames[index].payload.isEmpty else { return }
      frames[index].payload[random.number(0...(frames[index].payload.count - 1))] = random.byte()
    case 8: frames.insert(frames[index], at: random.number(0...frames.count))
    case 9 where frames.count > 1: frames.remove(at: index)
    case 10:
      let wrong: [UInt8] = random.one(
        of: [
          [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xFF], [0xE2, 0x82], [0xF0, 0x8F, 0xBF, 0xBF],
        ])
      frames[index].payload.insert(contentsOf: wrong, at: random.number(0...frames[index].payload.count))
    default: frames[index].payload.removeLast(min(frames[index].payload.count, random.number(1...3)))
    }
  }

  private static func damage(_ bytes: inout [UInt8], using random: inout SeededGenerator) {
    guard !bytes.isEmpty else { return }
    switch random.number(0...2) {
    case 0: bytes[random.number(0...(bytes.count - 1))] ^= 1 << UInt8(random.number(0...7))
    case 1: bytes.insert(contentsOf: random.bytes(random.number(1...4)), at: random.number(0...bytes.count))
    default: bytes.remove(at: random.number(0...(bytes.count - 1)))
    }
  }

  /// Goes from header to header, as far as they make sense, and looks for what the peers do not get over.
  private mutating func scan() {
    var rest = bytes[...]
    /// How many bytes the compressed message has that has been begun.
    var size: Int?
    while let header = rest.withUnsafeBytes({ FrameHeader(decoding: $0) }) {
      let headerSize = rest.withUnsafeBytes { FrameHeader.byteCount(secondByte: $0[1]) }
      guard let length = Int(exactly: header.payloadLength), length <= rest.count - headerSize else { break }
      rest = rest.dropFirst(headerSize + length)
      if header.opcode.isControl {
        if size != nil { hasControlInsideCompressed = true }
        continue
      }
      if header.opcode != .continuation { size = header.rsv1 ? 0 : nil }
      guard let before = size else { continue }
      size = before + length
      if header.fin {
        if size == 0 { hasEmptyCompressed = true }
        size = nil
      }
    }
  }

  /// Writes the frames of a valid conversation.
  private struct Writer: ~Copyable {
    let role: Role
    var frames: [Frame] = []
    private var deflater: Deflater?

    init(role: Role, deflate: PermessageDeflate.Agreement?) {
      self.role = role
      deflater = deflate.map { Deflater($0, role: role == .client ? .server : .client) }
    }

    /// The key of the next frame: those of a client have one.
    func key(_ random: inout SeededGenerator) -> UInt32? {
      role == .client ? nil : UInt32.random(in: 0...UInt32.max, using: &random)
    }

    mutating func writeMessage(using random: inout SeededGenerator) {
      while random.chance(20) { writeControl(using: &random) }
      let isText = random.chance(60)
      var content = isText ? Self.text(using: &random) : random.bytes(Self.size(using: &random))
      var first: UInt8 = isText ? 0x01 : 0x02
      var isCompressed = false
      if random.chance(70) { isCompressed = compress(&content) }
      if isCompressed { first |= 0x40 }
      let count = random.chance(60) ? 1 : random.number(2...5)
      let cuts = [0] + (1..<count).map { _ in random.number(0...content.count) }.sorted() + [content.count]
      for index in 0..<count {
        let fin: UInt8 = index == count - 1 ? 0x80 : 0
        frames.append(
          Frame(
            first: (index == 0 ? first : 0) | fin, payload: Array(content[cuts[index]..<cuts[index + 1]]),
            key: key(&random)))
        // Rarely inside a compressed message: one of the peers does not get over it.
        if fin == 0, random.chance(isCompressed ? 5 : 30) { writeControl(using: &random) }
      }
    }

    private mutating func compress(_ content: inout [UInt8]) -> Bool {
      guard deflater != nil else { return false }
      var buffer = ByteBuffer()
      content.withUnsafeBytes { deflater?.compress($0, into: &buffer) }
      content = Array(buffer.bytes)
      return true
    }

    private mutating func writeControl(using random: inout SeededGenerator) {
      let size = random.one(of: [0, 1, 8, 124, 125])
      frames.append(Frame(first: random.one(of: [0x89, 0x8A]), payload: random.bytes(size), key: key(&random)))
    }

    mutating func writeClose(using random: inout SeededGenerator) {
      let usual: [UInt16] = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999]
      let unusual: [UInt16] = [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2999, 5000, 65_535]
      let code = random.one(of: random.chance(70) ? usual : unusual)
      let reason = random.chance(50) ? [] : Array(Self.text(using: &random).prefix(123))
      let payload = random.chance(20) ? [] : [UInt8(code >> 8), UInt8(code & 0xFF)] + reason
      frames.append(Frame(first: 0x88, payload: payload, key: key(&random)))
    }

    private static func size(using random: inout SeededGenerator) -> Int {
      switch random.number(0...9) {
      case 0: 0
      case 1...5: random.number(1...60)
      case 6, 7: random.number(120...130)
      case 8: random.number(500...3000)
      default: random.chance(20) ? random.number(65_530...65_540) : random.number(1...1000)
      }
    }

    private static func text(using random: inout SeededGenerator) -> [UInt8] {
      let alphabet = random.one(of: [
        Array("abcdefghij klm"), Array("aéßñ ü"), Array("русский текст"), Array("日本語、中文"), Array("😀🎉 a"),
        [
          "\u{0}", "\u{7F}", "\u{80}", "\u{7FF}", "\u{800}", "\u{D7FF}", "\u{E000}", "\u{FFFF}", "\u{10000}",
          "\u{10FFFF}",
        ],
      ])
      var text = ""
      for _ in 0..<min(2000, size(using: &random)) { text.append(random.one(of: alphabet)) }
      return Array(text.utf8)
    }
  }
}
