#include "payload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "frame.h"

// Rings of small messages are made about this large: it fits in the second-level cache, and is long enough that the
// circle's seam does not count.
#define RING_BYTES (256 * 1024)

// From this size on a ring of uncompressed messages holds a single one: 16 of them would leave the cache.
#define SINGLE_FRAME_SIZE (64 * 1024)

static void fill_binary(uint8_t *payload, size_t size, unsigned turn) {
  for (size_t j = 0; j < size; j++) payload[j] = (uint8_t)(7 * j + turn);
}

static void fill_text(uint8_t *payload, size_t size, unsigned turn) {
  static const char *const symbols[] = {"BTC-EUR", "ETH-EUR", "SOL-USD", "XRP-USD",
                                        "ADA-GBP", "DOT-EUR", "LTC-USD", "XLM-GBP"};
  uint32_t random = 2463534242u + turn;
  size_t at = 0;
  while (at < size) {
    for (int i = 0; i < 4; i++) random ^= random << 13, random ^= random >> 17, random ^= random << 5;  // xorshift32
    char record[160];
    int length =
        snprintf(record, sizeof record,
                 "{\"type\":\"trade\",\"symbol\":\"%s\",\"price\":%u.%02u,\"quantity\":%u.%u,\"side\":\"%s\"},\n",
                 symbols[random & 7], 20000 + (random >> 3) % 5000, (random >> 9) % 100, (random >> 15) % 50,
                 (random >> 21) % 10, random >> 31 ? "buy" : "sell");
    size_t part = size - at < (size_t)length ? size - at : (size_t)length;
    memcpy(payload + at, record, part);
    at += part;
  }
}

// Compresses one message as RFC 7692 §7.2.1 says: deflate, flush, and take the last four bytes away.
static size_t compress_message(uint8_t *out, size_t room, const uint8_t *payload, size_t size, int window_bits) {
  z_stream stream = {0};
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -window_bits, 8, Z_DEFAULT_STRATEGY) != Z_OK) return 0;
  stream.next_in = (Bytef *)payload;
  stream.avail_in = (uInt)size;
  stream.next_out = out;
  stream.avail_out = (uInt)room;
  deflate(&stream, Z_SYNC_FLUSH);
  size_t length = room - stream.avail_out - 4;
  deflateEnd(&stream);
  return length;
}

static struct ring *make_ring(struct payload_kind kind) {
  size_t size = kind.size;
  bool is_single = !kind.compressed && size >= SINGLE_FRAME_SIZE;
  size_t frames = is_single ? 1 : MARKERS;

  size_t frame_room = MAX_SERVER_HEADER + (kind.compressed ? compressBound(size) + 64 : size);
  struct ring *ring = calloc(1, sizeof *ring);
  uint8_t *payload = malloc(size ? size : 1);
  uint8_t *compressed = malloc(frame_room);
  uint8_t *round = malloc(frames * frame_room);
  if (!ring || !payload || !compressed || !round) goto no_memory;
  size_t starts[MARKERS];
  size_t at = 0;
  for (size_t i = 0; i < frames; i++) {
    unsigned turn = i % MARKERS;
    (kind.text ? fill_text : fill_binary)(payload, size, turn);
    if (size) payload[size - 1] = (uint8_t)('a' + turn);
    const uint8_t *body = payload;
    size_t length = size;
    uint8_t first = FIN | (kind.text ? OPCODE_TEXT : OPCODE_BINARY);
    if (kind.compressed) {
      length = compress_message(compressed, frame_room, payload, size, kind.window_bits);
      body = compressed;
      first |= RSV1;
    }
    starts[i] = at;
    at += write_server_header(round + at, first, length);
    memcpy(round + at, body, length);
    at += length;
  }

  // The sixteen over and over: what is sent with one call ends at the ring's seam at the latest.
  size_t rounds = is_single || at > RING_BYTES ? 1 : RING_BYTES / at;
  ring->kind = kind;
  ring->frames = rounds * frames;
  ring->bytes = malloc(rounds * at);
  ring->starts = malloc((ring->frames + 1) * sizeof *ring->starts);
  if (!ring->bytes || !ring->starts) goto no_memory;
  for (size_t r = 0; r < rounds; r++) {
    memcpy(ring->bytes + r * at, round, at);
    for (size_t i = 0; i < frames; i++) ring->starts[r * frames + i] = r * at + starts[i];
  }
  ring->starts[ring->frames] = rounds * at;
  free(payload), free(compressed), free(round);
  return ring;

no_memory:
  if (ring) free(ring->bytes), free(ring->starts);
  free(ring), free(payload), free(compressed), free(round);
  return NULL;
}

struct ring *ring_for(struct payload_kind kind) {
  static struct ring *rings;
  for (struct ring *ring = rings; ring; ring = ring->next) {
    if (ring->kind.size == kind.size && ring->kind.text == kind.text && ring->kind.compressed == kind.compressed &&
        ring->kind.window_bits == kind.window_bits)
      return ring;
  }
  struct ring *ring = make_ring(kind);
  if (!ring) return NULL;
  ring->next = rings;
  rings = ring;
  return ring;
}

uint64_t ring_offset(const struct ring *ring, uint64_t index) {
  return index / ring->frames * ring->starts[ring->frames] + ring->starts[index % ring->frames];
}

uint64_t ring_boundary(const struct ring *ring, uint64_t offset) {
  size_t whole = ring->starts[ring->frames];
  size_t within = offset % whole;
  size_t low = 0, high = ring->frames;  // the first start that is not before `within`
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (ring->starts[middle] < within) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return offset - within + ring->starts[low];
}

size_t ring_chunk(struct ring *ring, uint64_t offset, size_t limit, const uint8_t **chunk) {
  size_t whole = ring->starts[ring->frames];
  size_t within = offset % whole;
  size_t size = whole - within < limit ? whole - within : limit;
  if (ring->frames == 1) ring->bytes[whole - 1] = (uint8_t)('a' + offset / whole % MARKERS);
  *chunk = ring->bytes + within;
  return size;
}
