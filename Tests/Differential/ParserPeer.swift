import Foundation
import Glibc
import SidecarTestSupport
import SidecarProtocol

/// The process of the independent parsers: fed with conversations, one after the other.
final class ParserPeer {
  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  struct Answer {
    var events: [Event] = []
    var sawFinalBlock = false
  }

  private let process = Process()
  private let input = Pipe()
  private let output = Pipe()

  /// Starts the process, and makes its environment the first time. Blocks.
  init() throws {
    let folder = URL(filePath: #filePath).deletingLastPathComponent()
    process.executableURL = URL(filePath: try PythonEnvironment.interpreter())
    process.arguments = [folder.appending(path: "peer.py").path]
    process.standardInput = input
    process.standardOutput = output
    // A peer that has died is told by the write that fails, not by a signal.
    signal(SIGPIPE, SIG_IGN)
    try process.run()
  }

  deinit {
    // It ends when its input does.
    try? input.fileHandleForWriting.close()
    process.waitUntilExit()
  }

  /// What each parser makes of a conversation. Blocks.
  func answers(to conversation: Conversation) throws -> [Parser: Answer] {
    var request: [UInt8] = []
    let deflate = conversation.deflate
    let flags: [(Bool, UInt8)] = [
      (conversation.role == .server, 1), (deflate != nil, 2), (deflate?.serverNoContextTakeover == true, 4),
      (deflate?.clientNoContextTakeover == true, 8),
    ]
    request.append(flags.reduce(0) { $0 | ($1.0 ? $1.1 : 0) })
    request.append(UInt8(deflate?.serverMaxWindowBits ?? 15))
    request.append(UInt8(deflate?.clientMaxWindowBits ?? 15))
    for number in [conversation.limit, conversation.pieces.count] + conversation.pieces {
      request += littleEndian(number)
    }
    request += conversation.bytes
    try write(littleEndian(request.count) + request)
    return [.wsproto: try readAnswer(), .websockets: try readAnswer()]
  }

  private func readAnswer() throws -> Answer {
    let size = number(try read(4))
    var rest = try read(size)[...]
    var answer = Answer()
    while let kind = rest.popFirst() {
      let count = number(Array(rest.prefix(4)))
      let payload = Array(rest.dropFirst(4).prefix(count))
      rest = rest.dropFirst(4 + count)
      switch kind {
      case 1: answer.events.append(.text(payload))
      case 2: answer.events.append(.binary(payload))
      case 8: answer.events.append(.close(payload))
      case 9: answer.events.append(.ping(payload))
      case 10: answer.events.append(.pong(payload))
      case 253: answer.sawFinalBlock = true
      case 254: answer.events.append(.crash(String(decoding: payload, as: UTF8.self)))
      case 255: answer.events.append(.violation(code: UInt16(payload[0]) << 8 | UInt16(payload[1])))
      default: throw Failure(description: "an event of the unknown kind \(kind)")
      }
    }
    return answer
  }

  private func littleEndian(_ number: Int) -> [UInt8] {
    withUnsafeBytes(of: UInt32(number).littleEndian, Array.init)
  }

  private func number(_ bytes: [UInt8]) -> Int {
    bytes.reversed().reduce(0) { $0 << 8 | Int($1) }
  }

  private func write(_ bytes: [UInt8]) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes {
        Glibc.write(input.fileHandleForWriting.fileDescriptor, $0.baseAddress, $0.count)
      }
      guard count > 0 else { throw Failure(description: "the peer does not read any more: \(errno)") }
      rest = rest.dropFirst(count)
    }
  }

  private func read(_ count: Int) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
      let read = bytes.withUnsafeMutableBytes {
        Glibc.read(output.fileHandleForReading.fileDescriptor, $0.baseAddress.map { $0 + filled }, count - filled)
      }
      guard read > 0 else { throw Failure(description: "the peer has ended") }
      filled += read
    }
    return bytes
  }
}
