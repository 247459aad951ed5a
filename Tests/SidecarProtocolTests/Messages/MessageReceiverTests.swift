import Testing
import SidecarProtocol

@Suite struct MessageReceiverTests {
  @Test func `a message that lies whole in the read buffer is reported where it lies`() {
    for size in [1, 125, 126, 65_535, 65_536, 100_000] {
      for (role, key) in [(Role.client, nil), (.server, UInt32(7))] {
        var bytes = frame(0x82, noise(size), key: key)
        var receiver = MessageReceiver(role: role)
        var recorder = Recorder()
        bytes.withUnsafeMutableBytes { buffer in
          receiver.receive(buffer, into: &recorder)
          #expect(recorder.lastAddress == UnsafeRawPointer(buffer.baseAddress! + buffer.count - size))
        }
        #expect(recorder.assembledCount == 0)
      }
    }
  }

  @Test func `a large message that came in pieces has storage of its own, a small one is lent`() {
    #expect(MessageReceiver.record(frame(0x82, noise(5000)), piece: 1000).assembledCount == 1)
    #expect(MessageReceiver.record(frame(0x82, noise(1024)), piece: 1000).assembledCount == 0)
  }

  @Test func `a message in pieces reserves no more than has been earned`() throws {
    var receiver = MessageReceiver(role: .client)
    var recorder = Recorder()
    receiver.feed(Array(frame(0x82, length: .announced(16 << 20)).prefix(10)), into: &recorder)
    let first = receiver.directReadTarget(minimum: 1)
    #expect(try #require(first).count <= 64 << 10)
    receiver.feed(noise(100_000), into: &recorder)
    let second = receiver.directReadTarget(minimum: 1)
    #expect(try #require(second).count <= 100_000)
  }

  @Test(arguments: [UInt8(0x82), 0x02])
  func `a message in pieces grows by doubling`(_ first: UInt8) {
    var receiver = MessageReceiver(role: .client)
    var recorder = Recorder()
    let payload = noise(1 << 20)
    let bytes = frame(first, payload)
    let header = bytes.count - payload.count
    receiver.feed(Array(bytes[..<header]), into: &recorder)
    var capacity = 0
    var growths = 0
    for start in stride(from: 0, to: payload.count - 512, by: 512) {
      receiver.feed(Array(payload[start..<(start + 512)]), into: &recorder)
      let room = receiver.directReadTarget(minimum: 1)?.count ?? 0
      if start + 512 + room > capacity {
        capacity = start + 512 + room
        growths += 1
      }
    }
    #expect(growths <= 13)
  }

  @Test func `the socket can be read straight into a large message`() {
    let payload = noise(300_000)
    let cases = [(Role.client, UInt8(0x82), nil), (.server, 0x82, UInt32(0xA1B2_C3D4)), (.client, 0x02, nil)]
    for (role, first, key) in cases {
      let bytes = frame(first, payload, key: key)
      var receiver = MessageReceiver(role: role)
      var recorder = Recorder()
      receiver.feed(Array(bytes[..<1001]), into: &recorder)
      var position = 1001
      while let target = receiver.directReadTarget(minimum: 1) {
        let count = min(target.count, bytes.count - position, 30_001)
        target.copyBytes(from: bytes[position..<(position + count)])
        position += count
        if let stop = receiver.didReadDirectly(count: count, into: &recorder) { recorder.note(stop) }
      }
      #expect(position == bytes.count)
      let isBetweenMessages = receiver.isBetweenMessages
      #expect(isBetweenMessages == (first == 0x82))
      if first == 0x02 { receiver.feed(frame(0x80), into: &recorder) }
      #expect(recorder.lines == MessageReceiver.record(frame(0x82, payload)).lines)
      #expect(recorder.assembledCount == 1)
    }
  }

  @Test func `a message that comes in small pieces can go on to be read directly`() {
    let payload = noise(5000)
    for cut in [1, 2, 300, 301, 4998] {
      var receiver = MessageReceiver(role: .client)
      var recorder = Recorder()
      let bytes = frame(0x82, payload)
      let header = bytes.count - payload.count
      receiver.feed(Array(bytes[..<(header + cut)]), piece: 1, into: &recorder)
      let early = receiver.directReadTarget(minimum: payload.count - cut + 1)
      #expect(early == nil)
      receiver.feed([bytes[header + cut]], into: &recorder)
      var position = cut + 1
      while let target = receiver.directReadTarget(minimum: 1) {
        let count = min(target.count, payload.count - position, 100)
        target.copyBytes(from: payload[position..<(position + count)])
        position += count
        if let stop = receiver.didReadDirectly(count: count, into: &recorder) { recorder.note(stop) }
        guard position < payload.count - 3 else { break }
        receiver.feed([payload[position]], into: &recorder)
        receiver.feed(Array(payload[(position + 1)..<(position + 3)]), into: &recorder)
        position += 3
      }
      receiver.feed(Array(payload[position...]), piece: 2, into: &recorder)
      #expect(recorder.lines == MessageReceiver.record(frame(0x82, payload)).lines)
    }
  }

  @Test func `text that was read directly is checked as well`() throws {
    var receiver = MessageReceiver(role: .client)
    var recorder = Recorder()
    receiver.feed(Array(frame(0x81, length: .announced(100_000)).prefix(10)), into: &recorder)
    let target = receiver.directReadTarget(minimum: 50_000)
    try #require(target).initializeMemory(as: UInt8.self, repeating: 0xFF)
    if let stop = receiver.didReadDirectly(count: 10, into: &recorder) { recorder.note(stop) }
    #expect(recorder.lines == ["violation 1007 RFC 6455 §8.1 text is not UTF-8 at byte 0"])
    let state = (receiver.isDiscarding, receiver.directReadTarget(minimum: 1) == nil)
    #expect(state == (true, true))
  }

  @Test func `nothing is read directly outside a large data frame`() {
    var receiver = MessageReceiver(role: .client)
    var recorder = Recorder()
    var counts: [Int?] = []
    counts.append(receiver.directReadTarget(minimum: 1)?.count)
    receiver.feed([0x82], into: &recorder)
    counts.append(receiver.directReadTarget(minimum: 1)?.count)
    receiver.feed([100, 1, 2, 3], into: &recorder)
    for minimum in [98, 0, 97] { counts.append(receiver.directReadTarget(minimum: minimum)?.count) }
    _ = receiver.didReadDirectly(count: 0, into: &recorder)
    receiver.feed(noise(97) + [0x89, 100], into: &recorder)
    counts.append(receiver.directReadTarget(minimum: 1)?.count)
    #expect(counts == [nil, nil, nil, nil, 97, nil])
  }

  @Test func `a receiver knows when it is between messages`() {
    var receiver = MessageReceiver(role: .client)
    var recorder = Recorder()
    var states = [receiver.isBetweenMessages]
    for byte: UInt8 in [0x01, 0x01, 0x61, 0x80, 0x00, 0x89, 0x00] {
      receiver.feed([byte], into: &recorder)
      states.append(receiver.isBetweenMessages)
    }
    #expect(states == [true, false, false, false, false, true, false, true])
    #expect(recorder.lines == ["text \"a\"", "ping empty"])
  }

  @Test func `no bytes are nothing to report`() {
    var receiver = MessageReceiver(role: .client)
    var recorder = Recorder()
    receiver.receive(UnsafeMutableRawBufferPointer(start: nil, count: 0), into: &recorder)
    #expect(recorder.lines.isEmpty)
  }

  @Test func `random streams of valid frames arrive the same however they are cut`() {
    var random = SystemRandomNumberGenerator()
    for _ in 0..<20 {
      let seed = UInt64.random(in: 0 ... .max, using: &random)
      let role: Role = seed % 2 == 0 ? .client : .server
      let bytes = stream(seed: seed, role: role)
      let whole = MessageReceiver.record(bytes, role: role)
      #expect(whole.lines.allSatisfy { !$0.hasPrefix("violation") })
      for size in [1, 2, 3, 7, 16, 61, 300, 4000] {
        #expect(MessageReceiver.record(bytes, role: role, piece: size).lines == whole.lines, "seed \(seed)")
      }
    }
  }

  @Test func `random text, whole or damaged, comes to the same however it is cut`() {
    let scripts = ["ASCII only, ", "Ελληνικά ", "日本語、", "😀😃", "mixed é € 😀 "].map(utf8)
    for seed in 0..<UInt64(100) {
      var text = noise(200, seed: seed).flatMap { scripts[Int($0) % (seed % 4 == 0 ? 1 : scripts.count)] }
      let choices = noise(8, seed: seed &+ 1000).map(Int.init)
      if seed % 2 == 1 { text[text.count * choices[0] / 256] ^= UInt8(1 << (choices[1] % 8)) }
      let cut = text.count * choices[2] / 256
      let bytes = frame(0x01, Array(text[..<cut])) + frame(0x89) + frame(0x80, Array(text[cut...]))
      let whole = MessageReceiver.record(bytes).lines
      #expect(seed % 2 == 1 || whole.last?.hasPrefix("text ") == true)
      for size in [1, 2, 3, 5, 8, 65, 300, 1000] {
        #expect(MessageReceiver.record(bytes, piece: size).lines == whole, "seed \(seed), in pieces of \(size)")
      }
    }
  }

  @Test func `text fails with the byte that is wrong, wherever the pieces end`() {
    let text = [UInt8](repeating: 0x61, count: 700) + utf8("é€😀")
    for wrong in [0, 1, 2, 255, 256, 257, 600, 700, 702, 705, text.count] {
      for size in [1, 2, 3, 7, 64] {
        var receiver = MessageReceiver(role: .client)
        var recorder = Recorder()
        let bytes = Array(frame(0x81, length: .announced(100_000)).prefix(10)) + text.prefix(wrong)
        receiver.feed(bytes, piece: size, into: &recorder)
        #expect(recorder.lines.isEmpty)
        receiver.feed([0xFF], into: &recorder)
        #expect(recorder.lines == ["violation 1007 RFC 6455 §8.1 text is not UTF-8 at byte \(wrong)"])
      }
    }
  }

  @Test func `random compressed streams, whole or damaged, come to the same however they are cut`() {
    for seed in 0..<UInt64(150) {
      let choices = noise(16, seed: seed).map(Int.init)
      let agreement = PermessageDeflate.Agreement(serverNoContextTakeover: seed % 3 == 0)
      var deflater = Deflater(agreement, role: .server)
      var bytes: [UInt8] = []
      for choice in choices {
        let unit = noise(choice % 7 + 1, seed: seed &+ UInt64(choice % 5)).map { $0 & 0x7F }
        var buffer = ByteBuffer()
        let message = Array([[UInt8]](repeating: unit, count: choice * 3).joined())
        message.withUnsafeBytes { deflater.compress($0, into: &buffer) }
        let payload = Array(buffer.bytes)
        let cut = payload.count * choice / 256
        bytes += frame(0x41, Array(payload[..<cut])) + frame(0x80, Array(payload[cut...]))
      }
      if seed % 2 == 1 { bytes[bytes.count * choices[0] / 256] ^= 1 << (seed % 8) }
      let limits = ProtocolLimits(maximumMessageSize: seed % 10 == 0 ? 1000 : 1 << 20)
      let whole = MessageReceiver.record(bytes, limits: limits, deflate: agreement).lines
      if seed % 2 == 0, seed % 10 != 0 { #expect(whole.count == choices.count) }
      for size in [1, 2, 3, 7, 64, 500] {
        let lines = MessageReceiver.record(bytes, limits: limits, deflate: agreement, piece: size).lines
        #expect(lines == whole, "seed \(seed), in pieces of \(size)")
      }
    }
  }

  @Test func `random bytes neither crash nor depend on how they are cut`() {
    for seed in 0..<UInt64(400) {
      // The first bytes are likely ones, so that more than the first header is reached.
      let start: [UInt8] = [[], [0x82, 5], [0x01, 3, 0x61], [0x81, 126, 1], [0x82, 127, 0, 0]][Int(seed % 5)]
      let bytes = start + noise(200, seed: seed)
      for role in [Role.client, .server] {
        let whole = MessageReceiver.record(bytes, role: role).lines
        for size in [1, 2, 5, 14] {
          #expect(MessageReceiver.record(bytes, role: role, piece: size).lines == whole, "seed \(seed)")
        }
      }
    }
  }

  /// Frames of all kinds, as a peer in the other role would send them.
  private func stream(seed: UInt64, role: Role) -> [UInt8] {
    let choices = noise(400, seed: seed)
    var bytes: [UInt8] = []
    var insideMessage = false
    for index in stride(from: 0, to: choices.count - 4, by: 4) {
      let size = Int(choices[index]) * (choices[index + 1] % 16 == 0 ? 30 : 1)
      let fin: UInt8 = choices[index + 2] & 0x80
      let key = role == .server ? UInt32(choices[index + 3]) &* 0x0101_0F35 : nil
      if choices[index + 3] % 5 == 0 {
        bytes += frame(choices[index] & 1 == 0 ? 0x89 : 0x8A, noise(size % 126), key: key)
      } else {
        bytes += frame((insideMessage ? 0 : 2) | fin, noise(size, seed: UInt64(index)), key: key)
        insideMessage = fin == 0
      }
    }
    return bytes
  }
}
