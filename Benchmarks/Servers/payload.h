// What the fire-hose sends, encoded once and sent over and over.
//
// The rule, which Benchmarks/harness/workloads.py states once more to check each run by:
//
//   - Message i (counting from 0 on each connection) ends in the marker byte 'a' + i mod 16.
//   - What stands before the marker depends only on i mod 16 as well (never on i alone). In binary messages byte j is
//     (7 j + i mod 16) mod 256; messages of 64 KiB or more all have the bytes of message 0 there. In text messages it
//     is a stream of JSON records with pseudo-random numbers, cut off where the marker stands: ASCII, and as
//     compressible as a market feed is.
//   - The checksum of a run is sum = 31 sum + marker, modulo 2^32, from 0, over the messages in their order. A client
//     reads one byte a message for it, which no client here notices, and loss, repetition, reordering, a wrong boundary
//     and a wrong decompression all change it.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MARKERS 16

struct payload_kind {
  uint64_t size;    // payload bytes of a message
  bool text;        // text messages instead of binary ones
  bool compressed;  // permessage-deflate, each message on its own (server_no_context_takeover)
  int window_bits;  // the LZ77 window if compressed (RFC 7692 §7.1.2.1)
};

// Encoded frames that can be sent in a circle: a multiple of 16 messages, so that the markers go on over the seam; or,
// for large uncompressed messages, a single one, whose marker is set just before it is sent.
struct ring {
  struct payload_kind kind;
  uint8_t *bytes;
  size_t frames;
  size_t *starts;  // frames + 1 offsets: where each frame starts, and the end of the last
  struct ring *next;
};

// The ring for a kind of payload, made when it is first asked for and kept for the life of the process.
// Returns NULL if there is not enough memory for it.
struct ring *ring_for(struct payload_kind kind);

// Where in the endless stream of the ring's frames message `index` starts.
uint64_t ring_offset(const struct ring *ring, uint64_t index);

// Where the frame that holds the stream's byte `offset - 1` ends: `offset` itself if that is a frame's boundary.
uint64_t ring_boundary(const struct ring *ring, uint64_t offset);

// The next bytes of the stream after `offset`, `limit` at most; returns how many follow in one piece.
size_t ring_chunk(struct ring *ring, uint64_t offset, size_t limit, const uint8_t **chunk);
