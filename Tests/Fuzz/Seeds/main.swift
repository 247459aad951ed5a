// Writes the seed corpus: the conformance cases and a few handshakes, in the form that each target reads.
//
// Compiled by seeds.sh together with the conformance cases; takes the folder to write to.

import Foundation
import SidecarProtocol

let folder = URL(filePath: CommandLine.arguments[1])

func write(_ target: String, _ name: String, _ bytes: [UInt8]) throws {
  let directory = folder.appending(path: target)
  try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
  let slug = String(name.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "-" })
  try Data(bytes).write(to: directory.appending(path: slug))
}

/// What `FuzzInput.limits` reads back as something like the limits.
func choice(_ limits: ProtocolLimits) -> UInt8 {
  if limits.maximumMessageSize == 0 { return 1 }
  if limits.maximumFrameSize < limits.maximumMessageSize { return 3 }
  if limits.maximumMessageSize <= 100 { return 2 }
  return limits.maximumFragmentsPerMessage < 10 ? 4 : 0
}

/// The same of `FuzzInput.agreement`.
func choices(_ agreement: PermessageDeflate.Agreement) -> [UInt8] {
  [
    (agreement.serverNoContextTakeover ? 1 : 0) | (agreement.clientNoContextTakeover ? 2 : 0),
    UInt8(15 - agreement.serverMaxWindowBits) | UInt8(15 - agreement.clientMaxWindowBits) << 3,
  ]
}

let answer =
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
  + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
let extensions = "Sec-WebSocket-Extensions: permessage-deflate\r\n"

for wire in ConformanceCase.all where wire.bytes.count <= 1500 {
  let role: UInt8 = wire.role == .client ? 0 : 1
  let limits = choice(wire.limits)
  if let deflate = wire.deflate {
    // Mode 0: the bytes are frames.
    try write("inflate", wire.name, [0, role, limits] + choices(deflate) + [7] + wire.bytes)
  } else {
    try write("frames", wire.name, [role, limits, 7] + wire.bytes)
  }
}

for wire in ConformanceCase.fragmentation + ConformanceCase.controlFrames + ConformanceCase.compression
where wire.bytes.count <= 300 && wire.role == .client {
  let limits = choice(wire.limits)
  let head = Array("\(answer)\(wire.deflate == nil ? "" : extensions)\r\n".utf8)
  try write("connection", wire.name, [wire.deflate == nil ? 0 : 1, limits, 3, 7] + head + wire.bytes)
}

for wire in ConformanceCase.closing {
  // Eight steps of the closing handshake, and the payload after the header of two bytes.
  try write("close", wire.name, [0, 1, 2, 3, 4, 5, 6, 7] + wire.bytes.dropFirst(2).prefix(125))
}

for (index, text) in ["", "Hello, Hello, Hello", "русский русский", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]
  .enumerated()
{
  let content = Array(text.utf8)
  // Mode 2: the bytes are what a frame calls compressed; mode 3: they are to be compressed.
  try write("inflate", "payload \(index)", [6, 0, 0, 0, 0, 7] + compressed(content))
  try write("inflate", "contents \(index)", [3, 0, 0, 1, 9, 7, UInt8(content.count)] + content + [0, 2, 0x61, 0x62])
  try write("text", "text \(index)", [7] + content)
}
for wire in ConformanceCase.unicode where wire.bytes.count <= 200 {
  try write("text", wire.name, [7] + wire.bytes.dropFirst(2))
}

let heads: [(String, UInt8, String)] = [
  ("accepted", 0, "\(answer)\r\n"),
  ("accepted with compression", 1, "\(answer)\(extensions)\r\n"),
  (
    "accepted with every parameter", 31,
    "\(answer)Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
      + "server_max_window_bits=9; client_max_window_bits=\"12\"\r\n\r\n"
  ),
  ("accepted with a subprotocol", 32, "\(answer)Sec-WebSocket-Protocol: superchat\r\n\r\n"),
  ("accepted with frames after it", 0, "\(answer)\r\n\u{1}\u{2}"),
  ("interim responses", 0, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\(answer)\r\n"),
  ("interim responses without end", 0x80, "HTTP/1.1 100 Continue\r\n\r\n"),
  (
    "a line without end", 0xC0,
    "HTTP/1.1 101 x\r\nA: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
  ),
  ("lines without end", 0x80, "HTTP/1.1 101 x\r\nA: b\r\nA: b\r\n"),
  ("refused", 0, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nsorry"),
  ("refused with a part of the body", 0, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 40\r\n\r\nsorry"),
  ("refused with a body until the end", 0, "HTTP/1.0 503 Busy\r\n\r\nsorry"),
  (
    "refused in chunks", 0,
    "HTTP/1.1 403 x\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nsorry\r\n1\r\n!\r\n0\r\nX: y\r\n\r\n"
  ),
  ("refused in endless chunks", 0x80, "HTTP/1.1 403 x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"),
  ("refused with two lengths", 0, "HTTP/1.1 403 x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nsorry"),
  ("a TLS alert", 0, "\u{15}\u{3}\u{1}\u{0}\u{2}\u{2}F"),
  ("folded", 0, "HTTP/1.1 101 x\r\nUpgrade:\r\n websocket\r\nConnection: keep-alive,\r\n\tUpgrade\r\n\r\n"),
  (
    "wrong accept", 0, "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: no\r\n\r\n"
  ),
  ("bare line feeds", 0, "HTTP/1.1 101 x\nUpgrade: websocket\n\n"),
  ("an extension that was not offered", 0, "\(answer)\(extensions)\r\n"),
  (
    "a request", 0,
    "GET /chat HTTP/1.1\r\nHost: peer.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
      + "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, other; a=\"b\"\r\n\r\n"
  ),
]
for (name, flags, text) in heads {
  try write("handshake", name, [flags, 7] + Array(text.utf8))
  try write("connection", "answer \(name)", [flags, 0, 0, 7] + Array(text.utf8))
}

let headers = [
  "permessage-deflate", "permessage-deflate; client_max_window_bits",
  "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; "
    + "client_max_window_bits=12",
  "permessage-deflate; server_max_window_bits=16, permessage-deflate; server_max_window_bits=\"8\"",
  "permessage-deflate; client_max_window_bits; client_max_window_bits", "a; b=c, d; e=\"f\"", "; =, \"",
  "x;y=\"a\\\"b\"",
]
for (index, text) in headers.enumerated() {
  try write("extensions", "header \(index)", [31, 0, 0] + Array(text.utf8))
}
