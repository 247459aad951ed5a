internal import CSidecarOpenSSL

/// The nonce of an opening handshake, and the value that proves that the server understood it (RFC 6455 §1.3).
package struct HandshakeKey: Sendable {
  /// The value of `Sec-WebSocket-Key`.
  package let value: String

  /// Makes the key that another endpoint sent.
  package init(_ value: String) {
    self.value = value
  }

  /// Makes a fresh key: 16 random bytes in base64 (RFC 6455 §4.1, item 7).
  ///
  /// - Throws: ``RandomnessError`` if the system has no randomness to give.
  package static func random(from source: RandomSource = .kernel) throws(RandomnessError) -> HandshakeKey {
    try withUnsafeTemporaryAllocation(byteCount: 16, alignment: 1) { (nonce) throws(RandomnessError) in
      try source.fill(nonce)
      return HandshakeKey(base64(UnsafeRawBufferPointer(nonce)))
    }
  }

  /// Whether the value is the base64 of 16 bytes, as a server checks (RFC 6455 §4.2.1, item 5).
  package var isWellFormed: Bool {
    let bytes = Array(value.utf8)
    guard bytes.count == 24, bytes.suffix(2).elementsEqual("==".utf8) else { return false }
    var decoded = [UInt8](repeating: 0, count: 18)
    return EVP_DecodeBlock(&decoded, bytes, 24) == 18
  }

  /// The value of `Sec-WebSocket-Accept` that belongs to the key (RFC 6455 §4.2.2, item 5.4).
  package var accept: String {
    // Before anything else of OpenSSL's, or the option has no effect.
    let sha1 = Self.sha1
    let context = EVP_MD_CTX_new()
    defer { EVP_MD_CTX_free(context) }
    func update(_ text: String) -> Bool {
      text.withUTF8Bytes { EVP_DigestUpdate(context, $0.baseAddress, $0.count) == 1 }
    }
    return withUnsafeTemporaryAllocation(byteCount: Int(SHA_DIGEST_LENGTH), alignment: 1) { digest in
      // It stays zero where OpenSSL may not use SHA-1, and the handshake fails: no server sends that.
      digest.initializeMemory(as: UInt8.self, repeating: 0)
      _ =
        EVP_DigestInit_ex(context, sha1, nil) == 1 && update(value)
        && update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11") && EVP_DigestFinal_ex(context, digest.baseAddress, nil) == 1
      return Self.base64(UnsafeRawBufferPointer(digest))
    }
  }

  /// SHA-1, looked up once: `SHA1()` looks it up each time, which costs more than hashing a key.
  ///
  /// Never changed and never freed, as OpenSSL requires of methods that threads share.
  private nonisolated(unsafe) static let sha1 = {
    // Otherwise `exit` frees what OpenSSL has while threads still use it, and a program that exits with an open connection
    // may crash. An application that has set OpenSSL up before decides that itself.
    OPENSSL_init_crypto(UInt64(OPENSSL_INIT_NO_ATEXIT), nil)
    return EVP_MD_fetch(nil, "SHA1", nil)
  }()

  private static func base64(_ bytes: UnsafeRawBufferPointer) -> String {
    // Four characters for each three bytes, and the zero byte that EVP_EncodeBlock adds.
    String(unsafeUninitializedCapacity: (bytes.count + 2) / 3 * 4 + 1) { encoded in
      Int(EVP_EncodeBlock(encoded.baseAddress, bytes.baseAddress, Int32(bytes.count)))
    }
  }
}

extension HandshakeKey: Hashable {
  package static func == (one: HandshakeKey, other: HandshakeKey) -> Bool { one.value.hasSameBytes(as: other.value) }

  package func hash(into hasher: inout Hasher) { hasher.combine(bytesOf: value) }
}
