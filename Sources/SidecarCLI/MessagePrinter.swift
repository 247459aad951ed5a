internal import Sidecar

/// Shows messages, one a line, and writes many lines in one system call.
struct MessagePrinter {
  /// How a binary message is shown.
  enum BinaryStyle: String, CaseIterable {
    /// Its length and how it begins.
    case summary
    /// All of it in hexadecimal.
    case hex
    /// As it is.
    case raw
  }

  /// A buffer that has grown beyond this is written.
  private static let batch = 64 * 1024

  private let output: Terminal
  private let showsTextRaw: Bool
  private let binaryStyle: BinaryStyle
  private var buffer: [UInt8] = []

  init(to output: Terminal, showsTextRaw: Bool, binaryStyle: BinaryStyle) {
    self.output = output
    self.showsTextRaw = showsTextRaw
    self.binaryStyle = binaryStyle
    buffer.reserveCapacity(2 * MessagePrinter.batch)
  }

  /// Shows `message`, soon: at the latest with ``flush()``.
  mutating func show(_ message: WebSocketMessage) throws(SystemError) {
    switch message {
    case .text(var text):
      text.withUTF8 { bytes in
        if showsTextRaw {
          buffer.append(contentsOf: bytes)
        } else {
          Escaping.append(UnsafeRawBufferPointer(bytes), to: &buffer)
        }
      }
    case .binary(let payload):
      switch binaryStyle {
      case .summary: buffer.append(contentsOf: Array("(binary) \(payload)".utf8))
      case .hex: payload.withUnsafeBytes { appendHexadecimal($0) }
      case .raw: payload.withUnsafeBytes { buffer.append(contentsOf: $0) }
      }
    }
    buffer.append(UInt8(ascii: "\n"))
    if buffer.count >= MessagePrinter.batch { try flush() }
  }

  /// Writes what is there, and waits until somebody has taken it.
  mutating func flush() throws(SystemError) {
    guard !buffer.isEmpty else { return }
    try buffer.span.bytes.withUnsafeBytes { bytes throws(SystemError) in try output.write(bytes) }
    // One huge message must not hold its memory for good.
    buffer.removeAll(keepingCapacity: buffer.capacity <= 4 * MessagePrinter.batch)
  }

  private mutating func appendHexadecimal(_ bytes: UnsafeRawBufferPointer) {
    let digits = Array("0123456789abcdef".utf8)
    for byte in bytes {
      buffer.append(digits[Int(byte >> 4)])
      buffer.append(digits[Int(byte & 15)])
    }
  }
}
