internal import COpenSSL

/// The nonce of an opening handshake, and the answer that proves that the server understood it (RFC 6455 §1.3).
package struct HandshakeKey: Sendable, Hashable {
  /// The value of `Sec-WebSocket-Key`.
  package let value: String

  /// Makes the key that another endpoint sent.
  package init(_ value: String) {
    self.value = value
  }

  /// Makes a fresh key: 16 random bytes in base64 (RFC 6455 §4.1, item 7).
  package static func random() -> HandshakeKey {
    let nonce = [UInt8](unsafeUninitializedCapacity: 16) { buffer, count in
      fillWithKernelRandomness(UnsafeMutableRawBufferPointer(buffer))
      count = 16
    }
    return HandshakeKey(base64(nonce))
  }

  /// Whether the value is the base64 of 16 bytes: what a server checks (RFC 6455 §4.2.1, item 5).
  package var isWellFormed: Bool {
    let bytes = Array(value.utf8)
    guard bytes.count == 24, bytes.suffix(2).elementsEqual("==".utf8) else { return false }
    var decoded = [UInt8](repeating: 0, count: 18)
    return EVP_DecodeBlock(&decoded, bytes, 24) == 18
  }

  /// The value of `Sec-WebSocket-Accept` that answers the key (RFC 6455 §4.2.2, item 5.4).
  package var accept: String {
    let input = Array("\(value)258EAFA5-E914-47DA-95CA-C5AB0DC85B11".utf8)
    var digest = [UInt8](repeating: 0, count: Int(SHA_DIGEST_LENGTH))
    _ = SHA1(input, input.count, &digest)
    return Self.base64(digest)
  }

  private static func base64(_ bytes: [UInt8]) -> String {
    // Four characters for each three bytes, and the zero byte that EVP_EncodeBlock adds.
    var encoded = [UInt8](repeating: 0, count: (bytes.count + 2) / 3 * 4 + 1)
    let count = EVP_EncodeBlock(&encoded, bytes, Int32(bytes.count))
    return String(decoding: encoded.prefix(Int(count)), as: UTF8.self)
  }
}
