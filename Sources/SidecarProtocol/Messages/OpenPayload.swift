/// Where the payload of a data frame goes on, as long as there is nothing to decide about it.
///
/// A peer, or whatever lies between, may deliver a message a byte at a time. Whoever asks all the questions of a frame for
/// each of them pays a hundred times for it; so all but the last bytes of a frame, uncompressed and unmasked, go straight
/// into memory that the message has already, and are accounted for together.
@usableFromInline
struct OpenPayload {
  /// The memory behind the message's bytes, or `nil` while nothing is open.
  @usableFromInline var next: UnsafeMutableRawPointer?

  /// How many bytes may go there.
  @usableFromInline var room = 0

  /// Bytes below it need no check: all of them, or in text ASCII between two characters (RFC 6455 §8.1).
  @usableFromInline private(set) var firstChecked: UInt16 = Self.beyondBytes

  /// What has seen the text so far, if it is text.
  private(set) var validator: UTF8Validator?

  private let opened: Int

  private static let beyondBytes: UInt16 = 0x100

  /// Nothing is open.
  init() {
    opened = 0
  }

  /// Opens `memory`.
  init(_ memory: UnsafeMutableRawBufferPointer, validator: UTF8Validator?) {
    next = memory.baseAddress
    room = memory.count
    opened = memory.count
    self.validator = validator
    if let validator { firstChecked = Self.firstChecked(behind: validator) }
  }

  /// How many bytes have gone there.
  var taken: Int { opened - room }

  /// Takes all of `bytes`, or nothing; what is not taken here is to be looked at with care.
  @inlinable
  mutating func take(_ bytes: UnsafeMutableRawBufferPointer, from start: UnsafeMutableRawPointer) -> Bool {
    guard let next, bytes.count == 1 else { return takePiece(bytes) }
    let byte = start.load(as: UInt8.self)
    guard UInt16(byte) < firstChecked else { return takePiece(bytes) }
    next.storeBytes(of: byte, as: UInt8.self)
    self.next = next + 1
    room &-= 1
    return true
  }

  @usableFromInline
  mutating func takePiece(_ bytes: UnsafeMutableRawBufferPointer) -> Bool {
    guard let next, let start = bytes.baseAddress else { return false }
    guard isValid(UnsafeRawBufferPointer(bytes)) else { return false }
    next.copyMemory(from: start, byteCount: bytes.count)
    self.next = next + bytes.count
    room -= bytes.count
    return true
  }

  /// Whether `bytes` may stand here.
  private mutating func isValid(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard var validator else { return true }
    if validator.isComplete, UTF8Validator.isShortASCII(bytes) { return true }
    guard validator.validate(bytes) == nil else { return false }
    self.validator = validator
    firstChecked = Self.firstChecked(behind: validator)
    return true
  }

  private static func firstChecked(behind validator: UTF8Validator) -> UInt16 { validator.isComplete ? 0x80 : 0 }
}
