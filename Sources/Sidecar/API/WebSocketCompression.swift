package import SidecarProtocol

/// What to offer for the compression of messages (RFC 7692 §7.1), and what to compress.
///
/// The server accepts, changes or declines the offer. Without its agreement nothing is compressed. What is asked of the
/// server is a request: many servers accept an offer without confirming its parameters. The defaults of RFC 7692 hold
/// then: a window of 32 KiB that is kept between messages. Set ``requiresParameters`` to fail the handshake instead.
///
/// Once agreed, each direction costs memory from the first compressed message on: with the largest window 262 KiB to
/// compress and 39 KiB to decompress.
///
/// ```swift
/// var configuration = WebSocketConfiguration()
/// configuration.compression = WebSocketCompression()
/// configuration.compression?.serverNoContextTakeover = true
/// ```
public struct WebSocketCompression: Hashable, Sendable {
  /// The size in bytes from which on messages are compressed. Default: 256. Smaller messages gain little.
  public var threshold: Int = 256

  /// How hard to compress, from 1 (fast) to 9 (small). Default: 6.
  public var level: Int = 6

  /// Whether to ask the server to begin each message with an empty window (`server_no_context_takeover`, §7.1.1.1).
  /// Default: false. It saves memory on both sides between messages, and costs compression.
  public var serverNoContextTakeover: Bool = false

  /// Whether to begin each sent message with an empty window (`client_no_context_takeover`, §7.1.1.2). Default: false.
  /// The server may ask for it too.
  public var clientNoContextTakeover: Bool = false

  /// The largest window to ask of the server, as a power of two from 8 to 15 (`server_max_window_bits`, §7.1.2.1).
  /// Default: nil, which leaves it to the server.
  public var serverMaxWindowBits: Int?

  /// The largest window of this side, as a power of two from 8 to 15 (`client_max_window_bits`, §7.1.2.2). Default: 15.
  /// The server may ask for a smaller one.
  public var clientMaxWindowBits: Int = 15

  /// Whether the handshake fails if the server does not confirm ``serverNoContextTakeover`` or ``serverMaxWindowBits``,
  /// or confirms a larger window. Default: false, which accepts what the server does. A server that declines
  /// compression is accepted in any case.
  public var requiresParameters: Bool = false

  /// Makes an offer with the defaults.
  public init() {}

  /// The compression parameters in effect after the server's response (RFC 7692 §7.1).
  public struct Negotiated: Hashable, Sendable, CustomStringConvertible {
    /// Whether the server begins each message with an empty window.
    public let serverNoContextTakeover: Bool
    /// Whether this side begins each message with an empty window.
    public let clientNoContextTakeover: Bool
    /// The server's largest window, as a power of two from 8 to 15.
    public let serverMaxWindowBits: Int
    /// This side's largest window, as a power of two from 8 to 15.
    public let clientMaxWindowBits: Int

    /// The parameters as they stand in `Sec-WebSocket-Extensions`, every one of them.
    public var description: String {
      "permessage-deflate" + (serverNoContextTakeover ? "; server_no_context_takeover" : "")
        + (clientNoContextTakeover ? "; client_no_context_takeover" : "")
        + "; server_max_window_bits=\(serverMaxWindowBits); client_max_window_bits=\(clientMaxWindowBits)"
    }

    package init(_ agreement: PermessageDeflate.Agreement) {
      serverNoContextTakeover = agreement.serverNoContextTakeover
      clientNoContextTakeover = agreement.clientNoContextTakeover
      serverMaxWindowBits = agreement.serverMaxWindowBits
      clientMaxWindowBits = agreement.clientMaxWindowBits
    }
  }

  var offer: PermessageDeflate.Offer {
    PermessageDeflate.Offer(
      serverNoContextTakeover: serverNoContextTakeover, clientNoContextTakeover: clientNoContextTakeover,
      serverMaxWindowBits: serverMaxWindowBits, clientMaxWindowBits: clientMaxWindowBits,
      requiresParameters: requiresParameters)
  }

  /// Checks that every value is in its range.
  func validate() throws(WebSocketError) {
    let ranges = [
      ("threshold", threshold, 0...Int.max), ("level", level, 1...9),
      ("serverMaxWindowBits", serverMaxWindowBits ?? 15, 8...15), ("clientMaxWindowBits", clientMaxWindowBits, 8...15),
    ]
    for (name, value, range) in ranges where !range.contains(value) {
      throw .invalidConfiguration(
        reason: "compression.\(name) is \(value), and must be from \(range.lowerBound) to \(range.upperBound)")
    }
  }
}
