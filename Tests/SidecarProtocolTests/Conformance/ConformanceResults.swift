/// What each conformance case comes to: its name, and below it what is reported, in order.
///
/// `cut` stands for a stream that ended inside a frame or message, `discards` for one whose end nobody waits for.
let conformanceResults = messageResults + "\n" + furtherResults

private let messageResults = #"""
  the example of an unmasked text message
    text "Hello"
  the example of a masked text message
    text "Hello"
  the example of a fragmented text message
    text "Hello"
  the example of a ping
    ping "Hello"
  the example of a masked pong
    pong "Hello"
  the example of 256 bytes
    binary 256 bytes, checksum 155a1923
  the example of 64 KiB
    binary 65536 bytes, checksum 584bc3aa
  binary message of 0 bytes
    binary empty
  binary message of 1 bytes
    binary 0b
  binary message of 2 bytes
    binary 0b 02
  binary message of 125 bytes
    binary 125 bytes, checksum 3723d1f9
  binary message of 126 bytes
    binary 126 bytes, checksum 6262ed8f
  binary message of 127 bytes
    binary 127 bytes, checksum 12bb6423
  binary message of 128 bytes
    binary 128 bytes, checksum cff4eb0
  binary message of 200 bytes
    binary 200 bytes, checksum 5a02ad40
  binary message of 65535 bytes
    binary 65535 bytes, checksum 3709fd3
  binary message of 65536 bytes
    binary 65536 bytes, checksum 584bc3aa
  text message of 0 bytes
    text empty
  text message of 1 bytes
    text "a"
  text message of 8 bytes
    text "aaaaaaaa"
  text message of 125 bytes
    text 125 bytes, checksum 96979e10
  text message of 126 bytes
    text 126 bytes, checksum 81ae6be3
  text message of 4000 bytes
    text 4000 bytes, checksum 5518b9a5
  text message of 65536 bytes
    text 65536 bytes, checksum f619dc5
  reserved bits 4 on a text frame
    violation 1002 RFC 6455 §5.2 reserved bits set: RSV1
    discards
  reserved bits 4 on a ping
    violation 1002 RFC 6455 §5.2 reserved bits set: RSV1
    discards
  reserved bits 4 after a message
    text "one"
    violation 1002 RFC 6455 §5.2 reserved bits set: RSV1
    discards
  reserved bits 2 on a text frame
    violation 1002 RFC 6455 §5.2 reserved bits set: RSV2
    discards
  reserved bits 2 on a ping
    violation 1002 RFC 6455 §5.2 reserved bits set: RSV2
    discards
  reserved bits 2 after a message
    text "one"
    violation 1002 RFC 6455 §5.2 reserved bits set: RSV2
    discards
  reserved bits 1 on a text frame
    violation 1002 RFC 6455 §5.2 reserved bits set: RSV3
    discards
  reserved bits 1 on a ping
    violation 1002 RFC 6455 §5.2 reserved bits set: RSV3
    discards
  reserved bits 1 after a message
    text "one"
    violation 1002 RFC 6455 §5.2 reserved bits set: RSV3
    discards
  reserved bits 6 on a text frame
    violation 1002 RFC 6455 §5.2 reserved bits set: RSV1, RSV2
    discards
  reserved bits 6 on a ping
    violation 1002 RFC 6455 §5.2 reserved bits set: RSV1, RSV2
    discards
  reserved bits 6 after a message
    text "one"
    violation 1002 RFC 6455 §5.2 reserved bits set: RSV1, RSV2
    discards
  reserved bits 3 on a text frame
    violation 1002 RFC 6455 §5.2 reserved bits set: RSV2, RSV3
    discards
  reserved bits 3 on a ping
    violation 1002 RFC 6455 §5.2 reserved bits set: RSV2, RSV3
    discards
  reserved bits 3 after a message
    text "one"
    violation 1002 RFC 6455 §5.2 reserved bits set: RSV2, RSV3
    discards
  reserved bits 7 on a text frame
    violation 1002 RFC 6455 §5.2 reserved bits set: RSV1, RSV2, RSV3
    discards
  reserved bits 7 on a ping
    violation 1002 RFC 6455 §5.2 reserved bits set: RSV1, RSV2, RSV3
    discards
  reserved bits 7 after a message
    text "one"
    violation 1002 RFC 6455 §5.2 reserved bits set: RSV1, RSV2, RSV3
    discards
  reserved opcode 3
    violation 1002 RFC 6455 §5.2 reserved opcode 3
    discards
  reserved opcode 4
    violation 1002 RFC 6455 §5.2 reserved opcode 4
    discards
  reserved opcode 5
    violation 1002 RFC 6455 §5.2 reserved opcode 5
    discards
  reserved opcode 6
    violation 1002 RFC 6455 §5.2 reserved opcode 6
    discards
  reserved opcode 7
    violation 1002 RFC 6455 §5.2 reserved opcode 7
    discards
  reserved opcode 11
    violation 1002 RFC 6455 §5.2 reserved opcode 11
    discards
  reserved opcode 12
    violation 1002 RFC 6455 §5.2 reserved opcode 12
    discards
  reserved opcode 13
    violation 1002 RFC 6455 §5.2 reserved opcode 13
    discards
  reserved opcode 14
    violation 1002 RFC 6455 §5.2 reserved opcode 14
    discards
  reserved opcode 15
    violation 1002 RFC 6455 §5.2 reserved opcode 15
    discards
  reserved opcode 3 on a fragment
    violation 1002 RFC 6455 §5.2 reserved opcode 3
    discards
  reserved opcode 3 inside a message
    violation 1002 RFC 6455 §5.2 reserved opcode 3
    discards
  reserved opcode 7 on a fragment
    violation 1002 RFC 6455 §5.2 reserved opcode 7
    discards
  reserved opcode 7 inside a message
    violation 1002 RFC 6455 §5.2 reserved opcode 7
    discards
  reserved opcode 11 on a fragment
    violation 1002 RFC 6455 §5.2 reserved opcode 11
    discards
  reserved opcode 11 inside a message
    violation 1002 RFC 6455 §5.2 reserved opcode 11
    discards
  reserved opcode 15 on a fragment
    violation 1002 RFC 6455 §5.2 reserved opcode 15
    discards
  reserved opcode 15 inside a message
    violation 1002 RFC 6455 §5.2 reserved opcode 15
    discards
  reserved bits 4 on a continuation
    violation 1002 RFC 6455 §5.2 reserved bits set: RSV1
    discards
  reserved bits 4 on a close
    violation 1002 RFC 6455 §5.2 reserved bits set: RSV1
    discards
  reserved bits 4 on a pong
    violation 1002 RFC 6455 §5.2 reserved bits set: RSV1
    discards
  reserved bits 2 on a continuation
    violation 1002 RFC 6455 §5.2 reserved bits set: RSV2
    discards
  reserved bits 2 on a close
    violation 1002 RFC 6455 §5.2 reserved bits set: RSV2
    discards
  reserved bits 2 on a pong
    violation 1002 RFC 6455 §5.2 reserved bits set: RSV2
    discards
  reserved bits 1 on a continuation
    violation 1002 RFC 6455 §5.2 reserved bits set: RSV3
    discards
  reserved bits 1 on a close
    violation 1002 RFC 6455 §5.2 reserved bits set: RSV3
    discards
  reserved bits 1 on a pong
    violation 1002 RFC 6455 §5.2 reserved bits set: RSV3
    discards
  length 126 in eight bytes
    violation 1002 RFC 6455 §5.2 payload length 126 not in the shortest form
    discards
  length 0 in two bytes, masked
    violation 1002 RFC 6455 §5.2 payload length 0 not in the shortest form
    discards
  a continuation's length in two bytes
    violation 1002 RFC 6455 §5.2 payload length 5 not in the shortest form
    discards
  length 0 in two bytes
    violation 1002 RFC 6455 §5.2 payload length 0 not in the shortest form
    discards
  length 125 in two bytes
    violation 1002 RFC 6455 §5.2 payload length 125 not in the shortest form
    discards
  length 126 in two bytes
    binary 126 bytes, checksum 6262ed8f
  length 125 in eight bytes
    violation 1002 RFC 6455 §5.2 payload length 125 not in the shortest form
    discards
  length 65535 in eight bytes
    violation 1002 RFC 6455 §5.2 payload length 65535 not in the shortest form
    discards
  length with the highest bit set
    violation 1002 RFC 6455 §5.2 payload length with the highest bit set
    discards
  length of all ones
    violation 1002 RFC 6455 §5.2 payload length with the highest bit set
    discards
  length of the largest integer
    violation 1009 RFC 6455 §10.4 frame of 9223372036854775807 bytes, the limit is 16777216
    discards
  three messages in a row
    text "message 1"
    text "message 2"
    text "message 3"
  nothing at all
  the first byte of a header
    cut
  a header without its length
    cut
  a header without its length, with a reserved opcode
    violation 1002 RFC 6455 §5.2 reserved opcode 7
    discards
  a header without its length, masked
    violation 1002 RFC 6455 §5.1 masked frame from a server
    discards
  a header without the end of its length
    cut
  a header without its payload
    cut
  a payload without its end
    cut
  a large payload without its end
    cut
  ping of 0 bytes
    ping empty
  pong of 0 bytes
    pong empty
  ping of 1 bytes
    ping 0b
  pong of 1 bytes
    pong 0b
  ping of 124 bytes
    ping 124 bytes, checksum 67324525
  pong of 124 bytes
    pong 124 bytes, checksum 67324525
  ping of 125 bytes
    ping 125 bytes, checksum 3723d1f9
  pong of 125 bytes
    pong 125 bytes, checksum 3723d1f9
  ping of 126 bytes
    violation 1002 RFC 6455 §5.5 ping frame with a payload of more than 125 bytes
    discards
  ping with a length of two bytes that is still to come
    violation 1002 RFC 6455 §5.5 ping frame with a payload of more than 125 bytes
    discards
  ping with a length of two bytes
    violation 1002 RFC 6455 §5.5 ping frame with a payload of more than 125 bytes
    discards
  pong of 126 bytes
    violation 1002 RFC 6455 §5.5 pong frame with a payload of more than 125 bytes
    discards
  ping of 126 bytes inside a message
    violation 1002 RFC 6455 §5.5 ping frame with a payload of more than 125 bytes
    discards
  fragmented ping inside a message
    violation 1002 RFC 6455 §5.5 fragmented ping frame
    discards
  ping with a length of eight bytes
    violation 1002 RFC 6455 §5.5 ping frame with a payload of more than 125 bytes
    discards
  close of 126 bytes
    violation 1002 RFC 6455 §5.5 close frame with a payload of more than 125 bytes
    discards
  fragmented ping
    violation 1002 RFC 6455 §5.5 fragmented ping frame
    discards
  fragmented pong
    violation 1002 RFC 6455 §5.5 fragmented pong frame
    discards
  fragmented close
    violation 1002 RFC 6455 §5.5 fragmented close frame
    discards
  ten pings in a row
    ping "ping 0"
    ping "ping 1"
    ping "ping 2"
    ping "ping 3"
    ping "ping 4"
    ping "ping 5"
    ping "ping 6"
    ping "ping 7"
    ping "ping 8"
    ping "ping 9"
  ping between messages
    text "one"
    ping "?"
    text "two"
  text in two fragments
    text "Hello"
  binary in four fragments
    binary 1273 bytes, checksum afc4d204
  a large message in fragments of every size
    binary 12810 bytes, checksum 56d70d12
  empty fragments
    text empty
  empty fragments around text
    text "x"
  ping between fragments
    ping "mid"
    text "Hello"
  every control frame between fragments
    ping "a"
    pong "b"
    close 1000 empty
    discards
  messages around a fragmented one
    text "before"
    text "in two"
    binary 0b 02 e5 36 a1
  continuation of nothing
    violation 1002 RFC 6455 §5.4 continuation frame without a message to continue
    discards
  unfinished continuation of nothing
    violation 1002 RFC 6455 §5.4 continuation frame without a message to continue
    discards
  continuation after a message
    text "whole"
    violation 1002 RFC 6455 §5.4 continuation frame without a message to continue
    discards
  text inside a message
    violation 1002 RFC 6455 §5.4 text frame inside a fragmented message
    discards
  fragmented binary inside a message
    violation 1002 RFC 6455 §5.4 binary frame inside a fragmented message
    discards
  message without its last fragment
    cut
  text with two-byte letters
    text 68 bytes, checksum e6d6c74d
  text with three-byte letters
    text 61 bytes, checksum 1c495130
  text with four-byte letters
    text f0 9f 98 80 f0 9f 98 83 f0 9f 98 84 20 f0 9d 92 b3 f0 9d 92 b4 f0 9d 92 b5 20 65 6e 64
  text with the last code point
    text f4 8f bf bf
  text with the code points around the surrogates
    text ed 9f bf ee 80 80
  text with a NUL
    text 00
  text with a lone continuation byte
    violation 1007 RFC 6455 §8.1 text is not UTF-8 at byte 1
    discards
  fragmented text with a lone continuation byte
    violation 1007 RFC 6455 §8.1 text is not UTF-8 at byte 3
    discards
  text with a byte that never occurs
    violation 1007 RFC 6455 §8.1 text is not UTF-8 at byte 1
    discards
  fragmented text with a byte that never occurs
    violation 1007 RFC 6455 §8.1 text is not UTF-8 at byte 3
    discards
  text with an overlong slash in two bytes
    violation 1007 RFC 6455 §8.1 text is not UTF-8 at byte 0
    discards
  fragmented text with an overlong slash in two bytes
    violation 1007 RFC 6455 §8.1 text is not UTF-8 at byte 2
    discards
  text with an overlong slash in three bytes
    violation 1007 RFC 6455 §8.1 text is not UTF-8 at byte 1
    discards
  fragmented text with an overlong slash in three bytes
    violation 1007 RFC 6455 §8.1 text is not UTF-8 at byte 3
    discards
  text with an overlong slash in four bytes
    violation 1007 RFC 6455 §8.1 text is not UTF-8 at byte 1
    discards
  fragmented text with an overlong slash in four bytes
    violation 1007 RFC 6455 §8.1 text is not UTF-8 at byte 3
    discards
  text with a surrogate
    violation 1007 RFC 6455 §8.1 text is not UTF-8 at byte 2
    discards
  fragmented text with a surrogate
    violation 1007 RFC 6455 §8.1 text is not UTF-8 at byte 4
    discards
  text with a code point beyond the last
    violation 1007 RFC 6455 §8.1 text is not UTF-8 at byte 1
    discards
  fragmented text with a code point beyond the last
    violation 1007 RFC 6455 §8.1 text is not UTF-8 at byte 3
    discards
  text with a lead byte beyond the last
    violation 1007 RFC 6455 §8.1 text is not UTF-8 at byte 0
    discards
  fragmented text with a lead byte beyond the last
    violation 1007 RFC 6455 §8.1 text is not UTF-8 at byte 2
    discards
  text with a character without its end
    violation 1007 RFC 6455 §8.1 text ends inside a character
    discards
  fragmented text with a character without its end
    violation 1007 RFC 6455 §8.1 text ends inside a character
    discards
  text with a character interrupted by a letter
    violation 1007 RFC 6455 §8.1 text is not UTF-8 at byte 2
    discards
  fragmented text with a character interrupted by a letter
    violation 1007 RFC 6455 §8.1 text is not UTF-8 at byte 4
    discards
  text with an error far in
    violation 1007 RFC 6455 §8.1 text is not UTF-8 at byte 300
    discards
  fragmented text with an error far in
    violation 1007 RFC 6455 §8.1 text is not UTF-8 at byte 302
    discards
  text with an error after pairs
    violation 1007 RFC 6455 §8.1 text is not UTF-8 at byte 26
    discards
  fragmented text with an error after pairs
    violation 1007 RFC 6455 §8.1 text is not UTF-8 at byte 28
    discards
  text with an overlong pair among pairs
    violation 1007 RFC 6455 §8.1 text is not UTF-8 at byte 8
    discards
  fragmented text with an overlong pair among pairs
    violation 1007 RFC 6455 §8.1 text is not UTF-8 at byte 10
    discards
  """#
