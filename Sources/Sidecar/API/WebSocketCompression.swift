internal import SidecarProtocol

/// What to offer for the compression of messages (RFC 7692 §7.1), and what to compress.
///
/// The server accepts, changes or declines the offer; without its agreement nothing is compressed. One that accepts it without
/// saying that it keeps to what ``serverNoContextTakeover`` or ``serverMaxWindowBits`` ask of it fails the handshake (§7.1). Once agreed, each
/// direction costs memory: with the largest window 262 KiB to compress and 39 KiB to decompress, from the first
/// compressed message on.
public struct WebSocketCompression: Hashable, Sendable {
  /// Messages smaller than this many bytes are sent as they are. Default: 256. Below that, little is gained.
  public var threshold: Int = 256

  /// How hard to compress, from 1 (fast) to 9 (small). Default: 6.
  public var level: Int = 6

  /// Ask the server to begin each message with an empty window (`server_no_context_takeover`, §7.1.1.1). Default: false.
  /// Saves memory on both sides between messages, and costs compression.
  public var serverNoContextTakeover: Bool = false

  /// Begin each message with an empty window (`client_no_context_takeover`, §7.1.1.2). Default: false. The same for what
  /// this side sends; the server may ask for it too.
  public var clientNoContextTakeover: Bool = false

  /// The largest window of the server, as a power of two from 8 to 15 (`server_max_window_bits`, §7.1.2.1). Default: nil,
  /// which leaves it to the server.
  public var serverMaxWindowBits: Int?

  /// The largest window of this side, as a power of two from 8 to 15 (`client_max_window_bits`, §7.1.2.2). Default: 15.
  /// The server may ask for a smaller one.
  public var clientMaxWindowBits: Int = 15

  /// Makes an offer with the defaults.
  public init() {}

  var offer: PermessageDeflate.Offer {
    PermessageDeflate.Offer(
      serverNoContextTakeover: serverNoContextTakeover, clientNoContextTakeover: clientNoContextTakeover,
      serverMaxWindowBits: serverMaxWindowBits, clientMaxWindowBits: clientMaxWindowBits)
  }

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
