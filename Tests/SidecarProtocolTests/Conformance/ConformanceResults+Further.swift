/// The second part of ``conformanceResults``: characters cut by fragments, and all from the Close frames on.
let furtherResults = #"""
  a character cut by fragments
    text f0 9f 98 80
  an error in a fragment that is not complete
    violation 1007 RFC 6455 §8.1 text is not UTF-8 at byte 1
    discards
  an error in a large frame that is not complete
    violation 1007 RFC 6455 §8.1 text is not UTF-8 at byte 1
    discards
  binary that is no text
    binary ff c0 80
  close with 1000
    close 1000 empty
    discards
  close with 1001
    close 1001 empty
    discards
  close with 1002
    close 1002 empty
    discards
  close with 1003
    close 1003 empty
    discards
  close with 1007
    close 1007 empty
    discards
  close with 1008
    close 1008 empty
    discards
  close with 1009
    close 1009 empty
    discards
  close with 1010
    close 1010 empty
    discards
  close with 1011
    close 1011 empty
    discards
  close with 1012
    close 1012 empty
    discards
  close with 1013
    close 1013 empty
    discards
  close with 1014
    close 1014 empty
    discards
  close with 3000
    close 3000 empty
    discards
  close with 3999
    close 3999 empty
    discards
  close with 4000
    close 4000 empty
    discards
  close with 4999
    close 4999 empty
    discards
  close with 0
    violation 1002 RFC 6455 §7.4 close frame with the invalid code 0
    discards
  close with 1
    violation 1002 RFC 6455 §7.4 close frame with the invalid code 1
    discards
  close with 999
    violation 1002 RFC 6455 §7.4 close frame with the invalid code 999
    discards
  close with 1004
    violation 1002 RFC 6455 §7.4 close frame with the invalid code 1004
    discards
  close with 1005
    violation 1002 RFC 6455 §7.4 close frame with the invalid code 1005
    discards
  close with 1006
    violation 1002 RFC 6455 §7.4 close frame with the invalid code 1006
    discards
  close with 1015
    violation 1002 RFC 6455 §7.4 close frame with the invalid code 1015
    discards
  close with 1016
    violation 1002 RFC 6455 §7.4 close frame with the invalid code 1016
    discards
  close with 1100
    violation 1002 RFC 6455 §7.4 close frame with the invalid code 1100
    discards
  close with 2000
    violation 1002 RFC 6455 §7.4 close frame with the invalid code 2000
    discards
  close with 2999
    violation 1002 RFC 6455 §7.4 close frame with the invalid code 2999
    discards
  close with 5000
    violation 1002 RFC 6455 §7.4 close frame with the invalid code 5000
    discards
  close with 65535
    violation 1002 RFC 6455 §7.4 close frame with the invalid code 65535
    discards
  close without payload
    close without code empty
    discards
  close with one byte
    violation 1002 RFC 6455 §5.5.1 close frame with a payload of one byte
    discards
  close with a reason
    close 1000 "bye"
    discards
  close with the longest reason
    close 1000 123 bytes, checksum 430b23ea
    discards
  close with a reason that is not UTF-8
    violation 1007 RFC 6455 §5.5.1 close frame with a reason that is not UTF-8
    discards
  close with a reason cut inside a character
    violation 1007 RFC 6455 §5.5.1 close frame with a reason that is not UTF-8
    discards
  everything after a close is discarded
    close 1000 empty
    discards
  a second close after a close
    close 1000 empty
    discards
  close with a reason of characters
    close 4000 67 72 c3 b6 c3 9f 65 72 20 e6 97 a5 e6 9c ac 20 f0 9f 98 80
    discards
  close with an overlong reason in UTF-8
    violation 1007 RFC 6455 §5.5.1 close frame with a reason that is not UTF-8
    discards
  close with a surrogate in the reason
    violation 1007 RFC 6455 §5.5.1 close frame with a reason that is not UTF-8
    discards
  close with an invalid code inside a message
    violation 1002 RFC 6455 §7.4 close frame with the invalid code 5
    discards
  close inside a character
    close 1000 empty
    discards
  a message and a ping after a close
    close without code empty
    discards
  close inside a message
    close 1001 empty
    discards
  message at the limit
    binary 0b 02 e5 36 a1 4e d6 1a b0 49
  frame over the limit
    violation 1009 RFC 6455 §10.4 frame of 11 bytes, the limit is 10
    discards
  message over the limit, frame not
    violation 1009 RFC 6455 §10.4 message larger than the limit of 10 bytes
    discards
  frame over the limit, message not
    violation 1009 RFC 6455 §10.4 frame of 11 bytes, the limit is 10
    discards
  fragments at the limit
    binary 0b 02 e5 36 a1 0b 02 e5 36 a1
  fragments over the limit
    violation 1009 RFC 6455 §10.4 message larger than the limit of 10 bytes
    discards
  control frames do not count
    ping 100 bytes, checksum 514a898b
    binary 0b 02 e5 36 a1 0b 02 e5 36 a1
  announced but never sent
    cut
  announced one byte too large
    violation 1009 RFC 6455 §10.4 frame of 16777217 bytes, the limit is 16777216
    discards
  as many fragments as allowed
    text "ab"
  one fragment too many
    violation 1008 RFC 6455 §10.4 message of more than 3 fragments
    discards
  no message is allowed but empty ones
    text empty
  masked binary message of 0 bytes
    binary empty
  masked binary message of 1 bytes
    binary 0b
  masked binary message of 2 bytes
    binary 0b 02
  masked binary message of 3 bytes
    binary 0b 02 e5
  masked binary message of 4 bytes
    binary 0b 02 e5 36
  masked binary message of 5 bytes
    binary 0b 02 e5 36 a1
  masked binary message of 7 bytes
    binary 0b 02 e5 36 a1 4e d6
  masked binary message of 8 bytes
    binary 0b 02 e5 36 a1 4e d6 1a
  masked binary message of 9 bytes
    binary 0b 02 e5 36 a1 4e d6 1a b0
  masked binary message of 63 bytes
    binary 63 bytes, checksum bd60b8db
  masked binary message of 64 bytes
    binary 64 bytes, checksum 144329af
  masked binary message of 65 bytes
    binary 65 bytes, checksum b1bacc24
  masked binary message of 125 bytes
    binary 125 bytes, checksum 3723d1f9
  masked binary message of 126 bytes
    binary 126 bytes, checksum 6262ed8f
  masked binary message of 1000 bytes
    binary 1000 bytes, checksum c58237a0
  masked binary message of 70000 bytes
    binary 70000 bytes, checksum 65a5f7c3
  masked frame from a server
    violation 1002 RFC 6455 §5.1 masked frame from a server
    discards
  masked ping from a server
    violation 1002 RFC 6455 §5.1 masked frame from a server
    discards
  unmasked frame from a client
    violation 1002 RFC 6455 §5.1 unmasked frame from a client
    discards
  unmasked close from a client
    violation 1002 RFC 6455 §5.1 unmasked frame from a client
    discards
  masked ping
    ping "are you there"
  masked close
    close 1000 "bye"
    discards
  masked with a key of zeroes
    text "plain"
  masked fragments, each with its own key
    ping "?"
    text "Hello"
  masked text that is not UTF-8
    violation 1007 RFC 6455 §8.1 text is not UTF-8 at byte 3
    discards
  compressed in one frame
    text "Hello"
  compressed in two fragments
    text "Hello"
  compressed with the window of the message before
    text "Hello"
    text "Hello"
  not compressed, in a stored block
    text "Hello"
  compressed in a final block, twice
    text "Hello"
    text "Hello"
  compressed in a final block without the byte after it, twice
    text "Hello"
    text "Hello"
  the window outlives a final block
    text "Hello"
    text "Hello"
  compressed in two blocks
    text "Hello"
  compressed to nothing
    text empty
    text "Hello"
  compressed without a byte
    text empty
    text "Hello"
  compressed without a byte, which leaves the window as it was
    text "Hello"
    text empty
    text empty
    text "Hello"
  compressed without a byte, and without context takeover
    text "Hello"
    text empty
    text "Hello"
  compressed and not, by turns
    text "Hello"
    text "plain"
    text "Hello"
    binary 0b 02 e5
  compressed and masked
    text "Hello"
  compressed without context takeover, twice
    text "Hello"
    text "Hello"
  compressed with the window of the message before, which is not kept
    text "Hello"
    violation 1007 RFC 7692 §7.2.2 compressed data does not inflate: invalid distance too far back
    discards
  compressed by the client with context takeover, which only the server does without
    text "Hello"
    text "Hello"
  a large message
    binary 140000 bytes, checksum d6c5df91
  a large message of one letter
    text 300000 bytes, checksum 2a667465
  empty fragments of compressed text
    text "Hello"
  a ping between compressed fragments
    ping "?"
    text "Hello"
  RSV1 on a continuation
    violation 1002 RFC 7692 §6.1 RSV1 set on a continuation frame
    discards
  RSV1 on a continuation of a message that is not compressed
    violation 1002 RFC 7692 §6.1 RSV1 set on a continuation frame
    discards
  RSV1 on a continuation of nothing
    violation 1002 RFC 6455 §5.4 continuation frame without a message to continue
    discards
  a compressed message inside a compressed message
    violation 1002 RFC 6455 §5.4 text frame inside a fragmented message
    discards
  a message inside a compressed message
    violation 1002 RFC 6455 §5.4 text frame inside a fragmented message
    discards
  every control frame between compressed fragments
    ping "a"
    pong "b"
    text "Hello"
    close 1000 empty
    discards
  close inside a compressed message
    close without code empty
    discards
  RSV1 on a pong
    violation 1002 RFC 7692 §6.1 RSV1 set on a pong frame
    discards
  RSV3 where RSV1 is agreed on
    violation 1002 RFC 6455 §5.2 reserved bits set: RSV3
    discards
  RSV1 on a ping
    violation 1002 RFC 7692 §6.1 RSV1 set on a ping frame
    discards
  RSV1 on a close
    violation 1002 RFC 7692 §6.1 RSV1 set on a close frame
    discards
  RSV2 where RSV1 is agreed on
    violation 1002 RFC 6455 §5.2 reserved bits set: RSV2
    discards
  RSV1 and RSV2 where RSV1 is agreed on
    violation 1002 RFC 6455 §5.2 reserved bits set: RSV1, RSV2
    discards
  compressed where nothing is agreed on
    violation 1002 RFC 6455 §5.2 reserved bits set: RSV1
    discards
  a compressed message without its end
    cut
  an invalid block type
    violation 1007 RFC 7692 §7.2.2 compressed data does not inflate: invalid block type
    discards
  invalid stored lengths
    violation 1007 RFC 7692 §7.2.2 compressed data does not inflate: invalid stored block lengths
    discards
  a distance beyond the beginning
    violation 1007 RFC 7692 §7.2.2 compressed data does not inflate: invalid distance too far back
    discards
  data that ends inside a block
    violation 1007 RFC 7692 §7.2.2 compressed data does not inflate: it ends inside a block
    discards
  a final block that only the tail completes
    violation 1007 RFC 7692 §7.2.2 compressed data does not inflate: it ends inside a block
    discards
  a final block that a part of the tail completes
    violation 1007 RFC 7692 §7.2.2 compressed data does not inflate: it ends inside a block
    discards
  data with the tail that belongs off it
    violation 1007 RFC 7692 §7.2.2 compressed data does not inflate: it ends inside a block
    discards
  an error after a final block
    violation 1007 RFC 7692 §7.2.2 compressed data does not inflate: invalid block type
    discards
  noise
    violation 1007 RFC 7692 §7.2.2 compressed data does not inflate: invalid distance too far back
    discards
  compressed text with characters of every size
    text 61 20 c3 a9 20 e2 82 ac 20 f0 9f 98 80 2c 20 72 65 70 65 61 74 65 64 3a 20 61 20 c3 a9 20 e2 82 ac 20 f0 9f 98 80
  compressed text with an error
    violation 1007 RFC 6455 §8.1 text is not UTF-8 at byte 5
    discards
  compressed text with a character cut at the end
    violation 1007 RFC 6455 §8.1 text ends inside a character
    discards
  compressed text with an error and then much more
    violation 1007 RFC 6455 §8.1 text is not UTF-8 at byte 0
    discards
  compressed text with an error in front of corrupt data
    violation 1007 RFC 6455 §8.1 text is not UTF-8 at byte 0
    discards
  a compressed message at the limit
    binary 10000 bytes, checksum 73d70505
  a compressed message one byte over the limit
    violation 1009 RFC 6455 §10.4 message larger than the limit of 9999 bytes
    discards
  a compressed message far over the limit
    violation 1009 RFC 6455 §10.4 message larger than the limit of 100 bytes
    discards
  a compressed message where none fits
    violation 1009 RFC 6455 §10.4 message larger than the limit of 0 bytes
    discards
  a bomb
    violation 1009 RFC 6455 §10.4 message larger than the limit of 10000 bytes
    discards
  a compressed message whose frame is too large
    violation 1009 RFC 6455 §10.4 frame of 107 bytes, the limit is 100
    discards
  a compressed message over the limit in front of corrupt data
    violation 1009 RFC 6455 §10.4 message larger than the limit of 4 bytes
    discards
  a compressed empty message where none fits
    binary empty
  """#
