internal import Sidecar

/// Prints messages, one per line, and writes many lines in one system call.
struct MessagePrinter {
  /// How binary messages are printed.
  enum BinaryStyle: String, CaseIterable {
    /// The length and the first bytes.
    case summary
    /// All bytes in hexadecimal.
    case hex
    /// Unchanged.
    case raw
  }

  /// The size at which the buffer is written.
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

  /// Prints `message`, with the next ``flush()`` at the latest.
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

  /// Writes the buffer; blocks until the reader has taken it.
  mutating func flush() throws(SystemError) {
    guard !buffer.isEmpty else { return }
    try buffer.span.bytes.withUnsafeBytes { bytes throws(SystemError) in try output.write(bytes) }
    // One huge message must not keep its memory forever.
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
